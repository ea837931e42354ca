"""Texts of people, truncate to what a status can hold: below 64 KiB in all, whatever the alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from talkingvideo_api.effective import Effective
from talkingvideo_api.reports import CUT
from talkingvideo_api.spec import TalkingVideoSpec

PROMPT_BYTES = 512
WARNING_BYTES = 320
MODE_BYTES = 64
MOST_WARNINGS = 32
MOST_MODES = 8
MORE_WARNINGS = "There are more warnings than these; each chunk's done.json in the store has its own."


def truncate(text: str, limit: int) -> str:
    """The beginning of a text, at most ``limit`` bytes of UTF-8, with a mark where something is left out."""
    encoded = text.encode()
    if len(encoded) <= limit:
        return text
    return encoded[: limit - len(CUT.encode())].decode(errors="ignore") + CUT


def with_warnings(known: tuple[str, ...], fresh: Iterable[str]) -> tuple[str, ...]:
    """The warnings so far and new ones: each once, and no more than people read."""
    every = dict.fromkeys((*known, *(truncate(warning, WARNING_BYTES) for warning in fresh)))
    told = [warning for warning in every if warning != MORE_WARNINGS]
    if MORE_WARNINGS not in every and len(told) <= MOST_WARNINGS:
        return tuple(told)
    return (*told[:MOST_WARNINGS], MORE_WARNINGS)


def with_modes(known: tuple[str, ...] | None, fresh: Iterable[str]) -> tuple[str, ...] | None:
    """Memory modes, each once; None while nobody has said one."""
    every = dict.fromkeys((*(known or ()), *(truncate(mode, MODE_BYTES) for mode in fresh)))
    return tuple(islice(every, MOST_MODES)) or None


def excerpt(effective: Effective) -> Effective:
    """The values in force as status shows them: of prompts and addresses, which stand in spec, the beginning."""
    negative = effective.negative_prompt
    return effective.shown().model_copy(
        update={
            "prompt": truncate(effective.prompt, PROMPT_BYTES),
            "negative_prompt": None if negative is None else truncate(negative, PROMPT_BYTES),
        }
    )


def in_full(effective: Effective, spec: TalkingVideoSpec) -> Effective:
    """The values in force as stages need them: `excerpt` undone."""
    given = (spec.render.loras if spec.render else None) or ()
    return effective.told_where_loras_are(given).model_copy(
        update={"prompt": spec.prompt or effective.prompt, "negative_prompt": spec.negative_prompt}
    )
