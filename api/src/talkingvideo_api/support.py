"""What the resource has, but this release cannot do yet, and what an engine has no use for.

Asking for the first fails at once with a plain sentence; asking for the second is answered with a warning. Nothing is
ever ignored silently.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.effective import INFINITETALK, PREVIEW, Effective
from talkingvideo_api.spec import Render, TalkingVideoSpec

ENGINES = (INFINITETALK, PREVIEW)
"""Engines that this release has."""

DIFFUSION_FIELDS = (
    "preset",
    "steps",
    "text_guidance",
    "audio_guidance",
    "shift",
    "color_correction",
    "loras",
    "gpus_per_chunk",
)


@dataclass(frozen=True)
class Unsupported:
    """A field that asks for something not built yet."""

    field: str
    message: str


def unsupported(spec: TalkingVideoSpec, effective: Effective) -> list[Unsupported]:
    """List what is asked for and not built, in the order of the spec."""
    found = [
        (
            "spec.engine",
            effective.engine not in ENGINES,
            f"engine {effective.engine!r} is not supported yet; use infinitetalk or preview",
        ),
        ("spec.notify", spec.notify is not None, "notifications are not supported yet"),
    ]
    return [Unsupported(field, message) for field, asked, message in found if asked]


def without_effect(spec: TalkingVideoSpec, effective: Effective) -> list[str]:
    """List fields that the engine has no use for, as sentences for ``status.warnings``."""
    if effective.engine != PREVIEW or spec.render is None:
        return []
    given = [name for name in DIFFUSION_FIELDS if getattr(spec.render, name) is not None]
    camel = [Render.model_fields[name].alias or name for name in given]
    return [f"spec.render.{name} has no effect with the preview engine" for name in camel]
