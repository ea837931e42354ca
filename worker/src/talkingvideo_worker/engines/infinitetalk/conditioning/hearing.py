"""Which features each frame of a window hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.engines.infinitetalk.arrays import Array

REACH = 2
"""Features on each side of a frame's own that it hears, too."""

PUBLISHED_EXCESS = 3
"""Features by which the published code extends a track beyond what the last window hears."""

Features = NDArray[np.floating[Any]]
"""(frames, layers, channels) of one speaker over the whole video; may be mapped from a file."""


class Hearing(Protocol):
    """The features of all speakers over the video."""

    def windows(self, start: int, frames: int) -> Features:
        """What some frames hear.

        Args:
            start: Number of the first frame.
            frames: How many.

        Returns:
            (speakers, frames, 2 * REACH + 1, layers, channels).
        """
        ...


def window_indices(start: int, frames: int, length: int) -> NDArray[np.int64]:
    """Features of each frame's window; what lies outside the track is its first or last feature.

    Returns:
        (frames, 2 * REACH + 1).
    """
    indices = np.arange(start, start + frames)[:, None] + np.arange(-REACH, REACH + 1)
    return indices.clip(0, length - 1)


@dataclass(frozen=True)
class Tracks:
    """Speakers as they are. Tracks end with silence where the last window reaches beyond the video.

    Attributes:
        speakers: Features of each.
    """

    speakers: Sequence[Features]

    def windows(self, start: int, frames: int) -> Features:
        """See ``Hearing``."""
        return np.stack([track[window_indices(start, frames, len(track))] for track in self.speakers])


@dataclass(frozen=True)
class PublishedRun:
    """A whole run as the published code plans it, for comparisons with it.

    Its last window hears the end of the track backwards where the track is too short, and the video ends with the last
    speaker's track. A first track of one window or less makes one window (the published code refuses it).

    Attributes:
        speakers: (frames, layers, channels) of each speaker.
        max_frames: Longest video; up to one window, one window is all there is.
        window: Frames of a window.
        motion: Frames that a window shares with the one before.
    """

    speakers: Sequence[Array]
    max_frames: int
    window: int = 81
    motion: int = 9

    @property
    def frames(self) -> int:
        """Length of the video."""
        frames, end = self.max_frames, self._end
        if self._last_start > 0 and any(end >= len(track) for track in self.speakers):
            frames = min(frames, len(self.speakers[-1]))
        return min(frames, end)

    @property
    def window_lengths(self) -> tuple[int, ...]:
        """New frames of each window.

        Their sum is ``frames``, unless the last speaker's track is so much shorter than the first one's that whole windows
        lie behind the video's end: they are rendered, too, and thrown away.
        """
        shown, rendered = (window_lengths(end, self.window, self.motion) for end in (self.frames, self._end))
        return shown if len(shown) == len(rendered) else rendered

    def windows(self, start: int, frames: int) -> Features:
        """See ``Hearing``."""
        tracks = [np.asarray(track) for track in self.speakers]
        if 0 < start == self._last_start:
            tracks = [mirrored(track, start + frames) for track in tracks]
        return Tracks(tracks).windows(start, frames)

    @property
    def _end(self) -> int:
        return self._last_start + self.window

    @property
    def _last_start(self) -> int:
        lengths = window_lengths(min(self.max_frames, len(self.speakers[0])), self.window, self.motion)
        return (len(lengths) - 1) * (self.window - self.motion)


def mirrored(track: Features, end: int) -> Features:
    """A track, with its own end backwards behind it where it is not longer than ``end``."""
    if end < len(track):
        return track
    return np.concatenate([track, track[-(end - len(track) + PUBLISHED_EXCESS) :][::-1]])
