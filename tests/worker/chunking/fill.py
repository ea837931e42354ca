from __future__ import annotations

from talkingvideo_worker.chunking.windows import window_lengths


def last_window_fill(frames: int, window: int = 81, motion: int = 9) -> float:
    """Share of the last window's new frames that a chunk keeps: above 0, at most 1."""
    lengths = window_lengths(frames, window, motion)
    return lengths[-1] / (window if len(lengths) == 1 else window - motion)
