"""Fields that this release does not support, and fields that have no effect with an engine.

The former fail the video at once, the latter add a warning. Nothing is ignored silently.
"""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.effective import Effective
from talkingvideo_api.engines import ENGINES, traits_of
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Continuity, Render, TalkingVideoSpec

SAMPLING_FIELDS = (
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
    """A field that this release does not support."""

    field: str
    message: str


def unsupported(spec: TalkingVideoSpec, effective: Effective, profile: Profile) -> list[Unsupported]:
    """List the fields that are set but not supported, in the order of the spec.

    An engine without a row in `talkingvideo_api.engines` is supported where the profile names it: another distribution
    brings it, and the worker's image says whether it is installed.
    """
    known = {*ENGINES, profile.engine, *profile.engines}
    found = [
        (
            "spec.engine",
            effective.engine not in known,
            f"engine {effective.engine!r} is not supported; use one of {', '.join(sorted(known))}, or have the "
            "administrator add it to the profile's engines",
        ),
        ("spec.notify", spec.notify is not None, "notifications are not supported yet"),
    ]
    return [Unsupported(field, message) for field, asked, message in found if asked]


def without_effect(spec: TalkingVideoSpec, effective: Effective) -> list[str]:
    """List fields that are set but have no effect with the engine, as sentences for ``status.warnings``."""
    traits, found = traits_of(effective.engine), list[str]()
    if not traits.is_diffusion:
        given = (name for name in SAMPLING_FIELDS if getattr(spec.render or Render(), name) is not None)
        fields = (Render.model_fields[name].alias or name for name in given)
        found += [f"spec.render.{field} has no effect with the {effective.engine} engine" for field in fields]
    if not traits.supports_chaining and effective.continuity is Continuity.CHAINED:
        found.append(
            f"spec.chunking.continuity has no effect with the {effective.engine} engine: its chunks have no seams"
        )
    if not traits.uses_single_region and len(spec.speech.speakers) == 1:
        # A region or mask tells the model which of two voices moves which face; one voice moves the face that it finds.
        given = (name for name in ("region", "mask") if getattr(spec.speech.speakers[0], name) is not None)
        found += [f"spec.speech.speakers[0].{name} has no effect with one speaker" for name in given]
    return found
