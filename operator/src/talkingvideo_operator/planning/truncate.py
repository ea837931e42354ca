"""Truncates texts for status, which stays below 64 KiB in every alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from talkingvideo_api.texts import truncate

WARNING_BYTES = 320
MODE_BYTES = 64
MAX_WARNINGS = 32
MAX_MODES = 8
MORE_WARNINGS = "There are more warnings than status holds; each chunk's done.json in the store lists its own."


def with_warnings(known: tuple[str, ...], new: Iterable[str]) -> tuple[str, ...]:
    """The warnings so far and new ones, each once and no more of them than people read."""
    distinct = dict.fromkeys((*known, *(truncate(warning, WARNING_BYTES) for warning in new)))
    warnings = [warning for warning in distinct if warning != MORE_WARNINGS]
    if MORE_WARNINGS not in distinct and len(warnings) <= MAX_WARNINGS:
        return tuple(warnings)
    return (*warnings[:MAX_WARNINGS], MORE_WARNINGS)


def with_modes(known: tuple[str, ...] | None, new: Iterable[str]) -> tuple[str, ...] | None:
    """Memory modes, each once; None before the first is reported."""
    distinct = dict.fromkeys((*(known or ()), *(truncate(mode, MODE_BYTES) for mode in new)))
    return tuple(islice(distinct, MAX_MODES)) or None
