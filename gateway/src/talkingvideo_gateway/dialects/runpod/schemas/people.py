"""What the two ComfyUI workers share: ``input_type``, ``person_count``, and who speaks."""

from __future__ import annotations

from typing import Any

from talkingvideo_gateway.dialects.runpod.schemas.fields import Fields
from talkingvideo_gateway.dialects.values import truncated_prompt
from talkingvideo_gateway.errors import InvalidRequestError

MAX_FRAMES = 180_000


def source_kind(fields: Fields) -> str:
    """``image`` or ``video``.

    Raises:
        InvalidRequestError: ``input_type`` is neither, in the worker's own words.
    """
    return _one_of(fields, "input_type", ("image", "video"))


def is_multi(fields: Fields) -> bool:
    """Whether two people speak.

    Raises:
        InvalidRequestError: ``person_count`` is neither single nor multi, in the worker's own words.
    """
    return _one_of(fields, "person_count", ("single", "multi")) == "multi"


def speech(*audios: str) -> dict[str, Any]:
    """Speakers of recordings."""
    return {"speakers": [{"audio": {"uri": uri}} for uri in audios]}


def prompt(fields: Fields, name: str = "prompt") -> str | None:
    """A prompt, as long as the resource allows."""
    used, warnings = truncated_prompt(fields.text(name) or "")
    fields.notes.warnings.extend(warnings)
    return used or None


def with_prompt(fields: Fields, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with the prompt, if there is one."""
    used = prompt(fields)
    return spec if used is None else {**spec, "prompt": used}


def max_frames(fields: Fields, name: str = "max_frame") -> dict[str, int]:
    """The limit of frames as a part of ``spec.video``."""
    frames = fields.integer(name, 1, MAX_FRAMES)
    return {} if frames is None else {"maxFrames": frames}


def _one_of(fields: Fields, name: str, words: tuple[str, str]) -> str:
    value = fields.text(name) or words[0]
    if value not in words:
        raise InvalidRequestError(f"Invalid {name} '{value[:80]}'. Must be '{words[0]}' or '{words[1]}'.")
    return value
