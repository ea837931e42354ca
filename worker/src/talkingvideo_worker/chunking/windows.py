"""Windows: the pieces in which the model renders a chunk."""

from __future__ import annotations

from dataclasses import dataclass


def window_lengths(frames: int, window: int = 81, motion: int = 9) -> tuple[int, ...]:
    """Divide a chunk into windows.

    The first window shows all of its frames; each further one begins with the last ``motion`` frames of the one before,
    and adds the rest. The last is rendered whole, too, and only its needed frames are kept.

    Args:
        frames: Length of the chunk, at least 1.
        window: Frames of a window.
        motion: Frames that a window shares with the one before, fewer than ``window``.

    Returns:
        New frames of each window, in order; their sum is ``frames``.
    """
    if frames < 1 or not 0 <= motion < window:
        raise ValueError(f"no windows for {frames} frames in windows of {window} that share {motion}")
    if frames <= window:
        return (frames,)
    full, rest = divmod(frames - window, window - motion)
    return (window,) + (window - motion,) * full + ((rest,) if rest else ())


def last_window_fill(frames: int, window: int = 81, motion: int = 9) -> float:
    """How much of the last window's new frames a chunk keeps: above 0, at most 1."""
    lengths = window_lengths(frames, window, motion)
    return lengths[-1] / (window if len(lengths) == 1 else window - motion)


def wasted_frames(frames: int, window: int = 81, motion: int = 9) -> int:
    """Frames that are rendered for a chunk and thrown away."""
    windows = len(window_lengths(frames, window, motion))
    return window + (windows - 1) * (window - motion) - frames


@dataclass(frozen=True)
class ChunkFrames:
    """The part of the video that one render Job makes.

    Attributes:
        start: Global number of its first frame.
        windows: New frames of each window, in order; their sum is the chunk's length.
        first_window: Global index of its first window (random numbers are drawn by it).
        overlap: Frames that its first window shares with the chunk before, whose last window's state it goes on from; 0
            for a chunk that starts from the picture.
    """

    start: int
    windows: tuple[int, ...]
    first_window: int = 0
    overlap: int = 0

    @property
    def frames(self) -> int:
        """Frames of the chunk."""
        return sum(self.windows)
