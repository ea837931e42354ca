"""Blinks: the skin between brow and lid is drawn down over the eye, with the lashes at its edge."""

from __future__ import annotations

import numpy as np

from talkingvideo_worker.engines.preview import anatomy
from talkingvideo_worker.engines.preview.anatomy import axes, region_around, smooth_step
from talkingvideo_worker.engines.preview.warp import sample
from talkingvideo_worker.faces.types import Picture, Points

OPEN_EYE = 0.12
"""Height over width of an eye that is open enough to blink."""

SMALLEST = 7.0
"""Pixels of an eye's width below which nothing is drawn."""


class Eye:
    """One eye in one picture.

    Args:
        points: (468, 2) of its face.
        side: 0 for the eye on the picture's left, 1 for the other.
        shape: Of the picture: (height, width, …).
    """

    def __init__(self, points: Points, side: int, shape: tuple[int, ...]) -> None:
        upper, lower = points[list(anatomy.UPPER_LIDS[side])], points[list(anatomy.LOWER_LIDS[side])]
        frame = axes(upper[0], upper[-1])
        self._across = frame.across
        above, below = frame.local(upper), frame.local(lower)
        brow = float(frame.local(points[list(anatomy.BROWS[side])])[:, 1].mean())
        width = float(above[-1, 0] - above[0, 0])
        height = float((below[:, 1] - above[:, 1]).max())
        self.can_blink = width >= SMALLEST and height > OPEN_EYE * width
        half, top = 0.62 * width, min(brow, float(above[:, 1].min()) - 0.1 * width)
        box = np.array(
            [[u, v] for u in (-half, half) for v in (top, float(below[:, 1].max()) + 0.2 * width)], np.float32
        )
        self._region = region_around(box @ np.stack([frame.along, frame.across]) + frame.origin, shape)
        if self._region.empty or not self.can_blink:
            self.can_blink = False
            return
        u, self._v = frame.grid(self._region)
        self._upper = np.interp(u, above[:, 0], above[:, 1]).astype(np.float32) - 0.04 * width
        self._lower = np.interp(u, below[:, 0], below[:, 1]).astype(np.float32)
        self._top = self._upper - 0.85 * np.maximum(self._upper - brow, 0.1 * width)
        self._inside = smooth_step((0.53 - np.abs(u) / width) / 0.06)
        self._lash = max(0.035 * width, 0.7)
        self._x, self._y = np.meshgrid(
            np.arange(self._region.left, self._region.right, dtype=np.float32),
            np.arange(self._region.top, self._region.bottom, dtype=np.float32),
        )

    def draw(self, canvas: Picture, source: Picture, closed: float) -> None:
        """Draw the lid.

        Args:
            canvas: Changed in the eye's region.
            source: The picture whose skin is used.
            closed: 0 open … 1 closed.
        """
        if closed <= 0 or not self.can_blink:
            return
        edge = self._upper + closed * (self._lower - self._upper) * self._inside
        part = np.clip((self._v - self._top) / np.maximum(edge - self._top, 1), 0, 1)
        shift = (edge - self._upper) * part
        map_x, map_y = self._x - shift * self._across[0], self._y - shift * self._across[1]
        lid = sample(source, map_x, map_y).astype(np.float32)
        lashes = 0.5 * closed * np.exp(-np.square((self._v - edge + 0.5 * self._lash) / self._lash)) * self._inside
        lid *= (1 - lashes)[..., np.newaxis]
        cover = (np.clip(edge - self._v + 0.5, 0, 1) * self._inside)[..., np.newaxis]
        under = canvas[self._region.slices].astype(np.float32)
        canvas[self._region.slices] = np.clip(under + (lid - under) * cover + 0.5, 0, 255).astype(np.uint8)
