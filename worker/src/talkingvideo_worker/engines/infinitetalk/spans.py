"""Where the windows of a chunk lie in the video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class WindowSpan:
    """One window.

    Attributes:
        index: Its number in the video; its noise is drawn by it.
        start: Number of its first frame in the video; what it hears and looks like is taken from there.
        overlap: Frames at its beginning that the window before has shown; 0 when it starts from the reference picture.
        new: Frames that it shows.
    """

    index: int
    start: int
    overlap: int
    new: int


def window_spans(
    start: int, lengths: Sequence[int], first_index: int = 0, motion: int = 9, overlap: int = 0
) -> tuple[WindowSpan, ...]:
    """Lay out a chunk's windows.

    Args:
        start: Number of the chunk's first new frame in the video.
        lengths: New frames of each window.
        first_index: Number of the first window in the video.
        motion: Frames that a window shares with the one before.
        overlap: Of the first window: 0, or ``motion`` for a chunk that goes on from the one before.
    """
    spans, position = [], start
    for number, length in enumerate(lengths):
        shared = motion if number else overlap
        spans.append(WindowSpan(first_index + number, position - shared, shared, length))
        position += length
    return tuple(spans)
