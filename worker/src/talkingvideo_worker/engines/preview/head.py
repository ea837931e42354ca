"""The sway of heads: each moves about its neck, and the motion fades out into the background."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview import anatomy
from talkingvideo_worker.engines.preview.anatomy import Region, smooth_step
from talkingvideo_worker.engines.preview.behaviour import NOD, SHIFT, TILT
from talkingvideo_worker.engines.preview.warp import sample
from talkingvideo_worker.faces.types import Picture, Points

FADE_FROM, FADE_TO = 0.95, 1.95
"""Distance from the middle of the face, in sizes of the head, between which the motion fades out."""


COARSE = 4
"""The motion is smooth: it is worked out for every fourth pixel each way."""


class Head:
    """One head in a picture.

    Args:
        points: (468, 2) of its face.
        shape: Of the picture: (height, width, …).
    """

    def __init__(self, points: Points, shape: tuple[int, ...]) -> None:
        left, right = points[anatomy.EYE_CORNERS[0]], points[anatomy.EYE_CORNERS[1]]
        chin, forehead = points[anatomy.CHIN], points[anatomy.FOREHEAD]
        height = max(float(np.hypot(*(chin - forehead))), 8.0)
        centre = (chin + forehead) / 2
        self._unit = float(np.hypot(*(right - left))) / 100
        pivot = chin + 0.25 * (chin - forehead)
        reach = np.array([0.95 * height, 1.1 * height], np.float32)
        low, high = np.floor(centre - FADE_TO * reach), np.ceil(centre + FADE_TO * reach) + 1
        self._region = Region(
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
        weight = smooth_step((FADE_TO - distance) / (FADE_TO - FADE_FROM))
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
            pose: (3,), see ``behaviour.sway``.
        """
        if self._region.empty:
            return
        amounts = {SHIFT: pose[SHIFT] * self._unit, NOD: pose[NOD] * self._unit, TILT: np.radians(pose[TILT])}
        coarse = np.sum([np.float32(amount) * self._fields[axis] for axis, amount in amounts.items()], axis=0)
        fine = np.asarray(cv2.resize(coarse, None, fx=COARSE, fy=COARSE, interpolation=cv2.INTER_LINEAR))
        part = canvas[self._region.slices]
        moved = fine[: part.shape[0], : part.shape[1]]
        canvas[self._region.slices] = sample(part, self._x - moved[..., 0], self._y - moved[..., 1])


def drift(picture: Picture, pose: NDArray[np.floating]) -> Picture:
    """Move a whole picture a little, for one without a face; it is enlarged by 2 % so that no border shows."""
    height, width = picture.shape[:2]
    room = 0.01 * min(height, width)
    x, y = (float(np.clip(pose[axis] / 4, -1, 1)) * room for axis in (SHIFT, NOD))
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, 1.022)
    turn[:, 2] += (x, y)
    moved = cv2.warpAffine(picture, turn, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return cast(Picture, moved)
