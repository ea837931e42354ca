"""The head: blinks, and a sway about the neck that fades out into the background."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview.geometry import Axes, PixelRegion, resample, smoothstep
from talkingvideo_worker.engines.preview.motion import NOD, SHIFT, TILT
from talkingvideo_worker.faces import mesh_points
from talkingvideo_worker.faces.types import Picture, Points

OPEN_EYE = 0.12
"""Height over width from which an eye is open enough to blink."""

SMALLEST_EYE = 7.0
"""Pixels of an eye's width below which no blink is drawn."""

FADE_FROM, FADE_TO = 0.95, 1.95
"""Distance from the middle of the face, in sizes of the head, between which the motion fades out."""

COARSE = 4
"""The motion is smooth: it is computed for every fourth pixel in each direction."""


class Eye:
    """One eye in one picture. A blink draws the skin between brow and lid down over it, with the lashes at its edge.

    Args:
        points: (468, 2), the landmarks of its face.
        side: 0 for the eye on the picture's left, 1 for the other.
        shape: Shape of the picture: (height, width, …).
    """

    def __init__(self, points: Points, side: int, shape: tuple[int, ...]) -> None:
        upper, lower = points[list(mesh_points.UPPER_LIDS[side])], points[list(mesh_points.LOWER_LIDS[side])]
        axes = Axes.between(upper[0], upper[-1])
        self._across = axes.across
        above, below = axes.local(upper), axes.local(lower)
        brow = float(axes.local(points[list(mesh_points.BROWS[side])])[:, 1].mean())
        width = float(above[-1, 0] - above[0, 0])
        height = float((below[:, 1] - above[:, 1]).max())
        self.can_blink = width >= SMALLEST_EYE and height > OPEN_EYE * width
        half, top = 0.62 * width, min(brow, float(above[:, 1].min()) - 0.1 * width)
        corners = np.array(
            [[u, v] for u in (-half, half) for v in (top, float(below[:, 1].max()) + 0.2 * width)], np.float32
        )
        self._region = PixelRegion.bounding(axes.pixels(corners), shape)
        if self._region.empty or not self.can_blink:
            self.can_blink = False
            return
        u, self._v = axes.grid(self._region)
        self._upper = np.interp(u, above[:, 0], above[:, 1]).astype(np.float32) - 0.04 * width
        self._lower = np.interp(u, below[:, 0], below[:, 1]).astype(np.float32)
        self._top = self._upper - 0.85 * np.maximum(self._upper - brow, 0.1 * width)
        self._inside = smoothstep((0.53 - np.abs(u) / width) / 0.06)
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
        lid = resample(source, map_x, map_y).astype(np.float32)
        lashes = 0.5 * closed * np.exp(-np.square((self._v - edge + 0.5 * self._lash) / self._lash)) * self._inside
        lid *= (1 - lashes)[..., np.newaxis]
        cover = (np.clip(edge - self._v + 0.5, 0, 1) * self._inside)[..., np.newaxis]
        under = canvas[self._region.slices].astype(np.float32)
        canvas[self._region.slices] = np.clip(under + (lid - under) * cover + 0.5, 0, 255).astype(np.uint8)


class Head:
    """One head in a picture.

    Args:
        points: (468, 2), the landmarks of its face.
        shape: Shape of the picture: (height, width, …).
    """

    def __init__(self, points: Points, shape: tuple[int, ...]) -> None:
        left, right = points[mesh_points.EYE_CORNERS[0]], points[mesh_points.EYE_CORNERS[1]]
        chin, forehead = points[mesh_points.CHIN], points[mesh_points.FOREHEAD]
        height = max(float(np.hypot(*(chin - forehead))), 8.0)
        centre = (chin + forehead) / 2
        self._unit = float(np.hypot(*(right - left))) / 100
        pivot = chin + 0.25 * (chin - forehead)
        reach = np.array([0.95 * height, 1.1 * height], np.float32)
        low, high = np.floor(centre - FADE_TO * reach), np.ceil(centre + FADE_TO * reach) + 1
        self._region = PixelRegion(
            max(0, int(low[0])), max(0, int(low[1])), min(shape[1], int(high[0])), min(shape[0], int(high[1]))
        )
        coarse_x, coarse_y = (
            np.arange(max(1, -(-extent // COARSE)), dtype=np.float32) * COARSE + (COARSE - 1) / 2 + first
            for first, extent in (
                (self._region.left, self._region.right - self._region.left),
                (self._region.top, self._region.bottom - self._region.top),
            )
        )
        x, y = coarse_x[np.newaxis], coarse_y[:, np.newaxis]
        distance = np.hypot((x - centre[0]) / reach[0], (y - centre[1]) / reach[1])
        weight = smoothstep((FADE_TO - distance) / (FADE_TO - FADE_FROM))
        none = np.zeros_like(weight)
        self._fields = {
            SHIFT: np.stack([weight, none], axis=-1),
            NOD: np.stack([none, weight], axis=-1),
            TILT: np.stack([-weight * (y - pivot[1]), weight * (x - pivot[0])], axis=-1),
        }
        height_px, width_px = self._region.bottom - self._region.top, self._region.right - self._region.left
        self._x = np.arange(width_px, dtype=np.float32)[np.newaxis]
        self._y = np.arange(height_px, dtype=np.float32)[:, np.newaxis]

    def move(self, canvas: Picture, pose: NDArray[np.floating]) -> None:
        """Move the head.

        Args:
            canvas: Changed where the head is.
            pose: (3,), one row of ``motion.head_sway``.
        """
        if self._region.empty:
            return
        amounts = {SHIFT: pose[SHIFT] * self._unit, NOD: pose[NOD] * self._unit, TILT: np.radians(pose[TILT])}
        coarse = np.sum([np.float32(amount) * self._fields[axis] for axis, amount in amounts.items()], axis=0)
        fine = np.asarray(cv2.resize(coarse, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_LINEAR))
        part = canvas[self._region.slices]
        offsets = fine[: part.shape[0], : part.shape[1]]
        canvas[self._region.slices] = resample(part, self._x - offsets[..., 0], self._y - offsets[..., 1])


def sway_picture(picture: Picture, pose: NDArray[np.floating]) -> Picture:
    """Move a whole picture a little, for one without a face. It is enlarged by 2 % so that no border shows."""
    height, width = picture.shape[:2]
    room = 0.01 * min(height, width)
    x, y = (float(np.clip(pose[axis] / 4, -1, 1)) * room for axis in (SHIFT, NOD))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, 1.022)
    turn[:, 2] += (x, y)
    moved = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cast(Picture, moved)
