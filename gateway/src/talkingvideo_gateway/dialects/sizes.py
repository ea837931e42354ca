"""Sizes in pixels, as the resource allows them."""

from __future__ import annotations

SMALLEST, LARGEST = 64, 2_048
"""Even ones only."""


def allowed_size(width: int, height: int) -> tuple[int, int, tuple[str, ...]]:
    """The nearest size that the resource allows, and what was changed."""
    used = tuple(min(LARGEST, max(SMALLEST, value - value % 2)) for value in (width, height))
    changed = (f"{width}x{height} was changed to {used[0]}x{used[1]}: sizes are even, from {SMALLEST} to {LARGEST}.",)
    return used[0], used[1], () if used == (width, height) else changed
