"""What the resource has, but this release cannot do yet, and what an engine has no use for.

Asking for the first fails at once with a plain sentence; asking for the second is answered with a warning. Nothing is
ever ignored silently.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.effective import PREVIEW, Effective
from talkingvideo_api.profile import INFINITETALK
from talkingvideo_api.spec import Continuity, Render, TalkingVideoSpec

ENGINES = (INFINITETALK, PREVIEW)
"""Engines that this release has."""

DIFFUSION_FIELDS = (
    "preset",
    "steps",
    "text_guidance",
    "audio_guidance",
    "shift",
    "color_correction",
    "tea_cache",
    "apg",
    "loras",
    "memory",
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
    return _idle_in_preview(spec, effective) if effective.engine == PREVIEW else _idle_for_one_speaker(spec)


def _idle_in_preview(spec: TalkingVideoSpec, effective: Effective) -> list[str]:
    """What is for diffusion, and for windows that leave something to the next."""
    render = spec.render or Render()
    given = [name for name in DIFFUSION_FIELDS if getattr(render, name) is not None]
    camel = [Render.model_fields[name].alias or name for name in given]
    idle = [f"spec.render.{name} has no effect with the preview engine" for name in camel]
    if effective.continuity is Continuity.CHAINED:
        idle.append("spec.chunking.continuity has no effect with the preview engine: its chunks have no seams")
    return idle


def _idle_for_one_speaker(spec: TalkingVideoSpec) -> list[str]:
    """Places tell the model which of two sounds moves which face; one sound moves the face that it finds."""
    if len(spec.speech.speakers) > 1:
        return []
    given = [name for name in ("region", "mask") if getattr(spec.speech.speakers[0], name) is not None]
    return [f"spec.speech.speakers[0].{name} has no effect with one speaker" for name in given]
