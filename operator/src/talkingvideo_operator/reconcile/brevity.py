"""Texts of people, cut to what a status can hold: below 64 KiB in all, whatever the alphabet."""

from __future__ import annotations

from talkingvideo_api.effective import Effective
from talkingvideo_api.reports import CUT
from talkingvideo_api.spec import TalkingVideoSpec

PROMPT_BYTES = 512


def cut(text: str, limit: int) -> str:
    """The beginning of a text, at most ``limit`` bytes of UTF-8, with a mark where something is left out."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(CUT.encode())].decode(errors="ignore") + CUT


def excerpt(effective: Effective) -> Effective:
    """The values in force as status shows them: of prompts, which stand in spec, the beginning."""
    negative = effective.negative_prompt
    return effective.model_copy(
        update={
            "prompt": cut(effective.prompt, PROMPT_BYTES),
            "negative_prompt": None if negative is None else cut(negative, PROMPT_BYTES),
        }
    )


def in_full(effective: Effective, spec: TalkingVideoSpec) -> Effective:
    """The values in force as stages need them: `excerpt` undone."""
    return effective.model_copy(
        update={"prompt": spec.prompt or effective.prompt, "negative_prompt": spec.negative_prompt}
    )
