"""Texts of people, truncate to what a status can hold: below 64 KiB in all, whatever the alphabet."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from talkingvideo_api.reports import ELLIPSIS

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
    return encoded[: limit - len(ELLIPSIS.encode())].decode(errors="ignore") + ELLIPSIS


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
