"""How the published code plans a run, draws its noise and sizes pictures: what an outside harness needs to compare with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from PIL import Image
from torch import Tensor

from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import Features, Tracks
from talkingvideo_worker.engines.infinitetalk.conditioning.regions import Box, Mask, box_mask, with_background
from talkingvideo_worker.engines.infinitetalk.transformer import Array
from talkingvideo_worker.units import Frame

PUBLISHED_EXCESS = 3
"""Features by which the published code extends a track beyond the end of the last window."""


@dataclass(frozen=True)
class PublishedRun:
    """A whole run as the published code plans it. An ``AudioSource``.

    In its last window a track that is too short is followed by its own end, reversed, and the video ends with the last
    speaker's track. A first track of one window or less makes one window (the published code refuses it).

    Attributes:
        speakers: (frames, layers, channels) of each speaker.
        max_frames: Length limit of the video; up to one window there is exactly one window.
        window: Frames of a window.
        motion: Frames that a window shares with the previous one.
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
        lie after the video's end: they are rendered as well, and thrown away.
        """
        shown, rendered = (window_lengths(end, self.window, self.motion) for end in (self.frames, self._end))
        return shown if len(shown) == len(rendered) else rendered

    def windows(self, start: int, frames: int) -> Features:
        """See ``AudioSource``."""
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
    """A track, followed by its own end, reversed, when it is not longer than ``end``."""
    if end < len(track):
        return track
    return np.concatenate([track, track[-(end - len(track) + PUBLISHED_EXCESS) :][::-1]])


@dataclass(frozen=True)
class PublishedNoise:
    """The noise that the published code draws on a CPU: from one stream, with some numbers per step that it does not use.

    Attributes:
        seed: Of the stream.
        steps: Of the sampler.
        motion_latents: Latent frames that a window shares with the previous one.
    """

    seed: int
    steps: int
    motion_latents: int = 3

    def __call__(self, window: int, shape: tuple[int, ...]) -> Tensor:
        """The window's noise; repeats all earlier draws."""
        generator = torch.Generator().manual_seed(self.seed)
        unused = (shape[0], self.motion_latents, *shape[2:])
        noise = torch.randn(shape, generator=generator)
        for later in range(1, window + 1):
            noise = torch.randn(shape, generator=generator)
            if later < window:
                for _ in range(1 + self.steps):
                    torch.randn(unused, generator=generator)
        return noise


def covering(picture: Frame, height: int, width: int) -> Frame:
    """A picture scaled to cover a size (bilinear, antialiased) and cropped to its centre."""
    scaled, crop = _cover(picture.shape[0], picture.shape[1], height, width)
    resized = Image.fromarray(picture).resize((scaled[1], scaled[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)[crop]


def covering_masks(masks: Mask, height: int, width: int) -> Mask:
    """Masks (classes, rows, columns) scaled and cropped as ``covering`` does with the picture, by nearest neighbours."""
    scaled, crop = _cover(masks.shape[1], masks.shape[2], height, width)
    resized = F.interpolate(torch.from_numpy(masks)[None].float(), size=scaled, mode="nearest")[0] > 0
    return resized.numpy()[:, *crop]


def speaker_masks(boxes: tuple[Box, Box], height: int, width: int) -> Mask:
    """Masks of two speakers and of the background: (3, height, width).

    Args:
        boxes: Of the speakers.
        height: Of the picture in which the boxes are measured.
        width: Likewise.
    """
    first, second = (box_mask(box, height, width) for box in boxes)
    return with_background(first, second)


def _cover(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """Size (height, width) to scale to, and the part of it to keep."""
    scale = max(height / rows, width / columns)
    scaled = math.ceil(scale * rows), math.ceil(scale * columns)
    top, left = round((scaled[0] - height) / 2), round((scaled[1] - width) / 2)
    return scaled, (slice(top, top + height), slice(left, left + width))
