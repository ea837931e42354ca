"""Values that several older services let through and the resource does not: what is used instead, and the sentence that says so."""

from __future__ import annotations

MAX_PROMPT = 4_000
LARGEST_MOTION_FRAMES = 77
SMALLEST, LARGEST = 64, 2_048
"""Sizes in pixels; even ones only."""

Warnings = tuple[str, ...]


def motion_frames(value: int) -> tuple[int, Warnings]:
    """The largest number of the form 4n+1 that is not above it: the model encodes one frame and then groups of four."""
    used = min(LARGEST_MOTION_FRAMES, value - (value - 1) % 4)
    changed = f"motion_frame {value} was changed to {used}: it has the form 4n+1, up to {LARGEST_MOTION_FRAMES}."
    return used, () if used == value else (changed,)


def truncated_prompt(prompt: str) -> tuple[str, Warnings]:
    """The prompt, as long as the resource allows."""
    if len(prompt) <= MAX_PROMPT:
        return prompt, ()
    return prompt[:MAX_PROMPT], (f"The prompt of {len(prompt):,} characters was cut at {MAX_PROMPT:,}.",)


def allowed_size(width: int, height: int) -> tuple[int, int, Warnings]:
    """The nearest size."""
    used = tuple(min(LARGEST, max(SMALLEST, value - value % 2)) for value in (width, height))
    changed = (f"{width}x{height} was changed to {used[0]}x{used[1]}: sizes are even, from {SMALLEST} to {LARGEST}.",)
    return used[0], used[1], () if used == (width, height) else changed
