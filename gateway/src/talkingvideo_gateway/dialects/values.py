"""Values that several older services let through and the resource does not: what is used instead, and the sentence that says so."""

from __future__ import annotations

MAX_PROMPT = 4_000
LARGEST_MOTION_FRAMES = 77

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
