"""Windows: the frames of a chunk that the model renders at a time."""

from __future__ import annotations

from dataclasses import dataclass


def window_lengths(frames: int, window: int = 81, motion: int = 9) -> tuple[int, ...]:
    """Divide a chunk into windows.

    The first window contributes all of its frames. Each further one repeats the last ``motion`` frames of the previous
    window and contributes the rest. The last window is also rendered whole, and the surplus frames are dropped.

    Args:
        frames: Length of the chunk, at least 1.
        window: Frames of a window.
        motion: Frames that a window shares with the previous one, fewer than ``window``.

    Returns:
        New frames of each window, in order; their sum is ``frames``.
    """
    if frames < 1 or not 0 <= motion < window:
        raise ValueError(f"no windows for {frames} frames in windows of {window} that share {motion}")
    if frames <= window:
        return (frames,)
    full, rest = divmod(frames - window, window - motion)
    return (window,) + (window - motion,) * full + ((rest,) if rest else ())


@dataclass(frozen=True)
class ChunkFrames:
    """A chunk: the part of the video that one render Job makes.

    Attributes:
        start: Number of its first frame in the video.
        windows: New frames of each window, in order; their sum is the chunk's length.
        first_window: Index of its first window in the video, which seeds its random numbers.
        overlap: Frames that its first window shares with the previous chunk, from whose last state it continues; 0 for a
            chunk that starts from the picture.
    """

    start: int
    windows: tuple[int, ...]
    first_window: int = 0
    overlap: int = 0

    @property
    def frames(self) -> int:
        """Frames of the chunk."""
        return sum(self.windows)
