"""Coordinates in a picture, and resampling: the one place for OpenCV's conventions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces.types import Picture, Points

LINEAR, CUBIC = cv2.INTER_LINEAR, cv2.INTER_CUBIC

SMALLEST_SIDE = 4
"""Pixels of a side below which a region is not worth drawing."""


@dataclass(frozen=True)
class PixelRegion:
    """A rectangle of whole pixels within a picture; ``right`` and ``bottom`` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def bounding(cls, points: Points, shape: tuple[int, ...]) -> Self:
        """The smallest region that holds some points, clipped to a picture of ``shape`` (height, width, …)."""
        low, high = np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)) + 1
        return cls(
            int(np.clip(low[0], 0, shape[1])),
            int(np.clip(low[1], 0, shape[0])),
            int(np.clip(high[0], 0, shape[1])),
            int(np.clip(high[1], 0, shape[0])),
        )

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns: indexes an array of the picture's size."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def empty(self) -> bool:
        """Whether too little of the region lies within the picture to draw anything."""
        return self.right - self.left < SMALLEST_SIDE or self.bottom - self.top < SMALLEST_SIDE


@dataclass(frozen=True)
class Axes:
    """A local coordinate system in the picture: u along one direction, v across it, both in pixels.

    Attributes:
        origin: Where u and v are 0.
        along: Unit vector of u.
    """

    origin: NDArray[np.floating]
    along: NDArray[np.floating]

    @classmethod
    def between(cls, left: NDArray[np.floating], right: NDArray[np.floating]) -> Self:
        """The coordinate system with its origin halfway between two points, and u from the first to the second."""
        span = right - left
        return cls((left + right) / 2, (span / max(float(np.hypot(*span)), 1e-3)).astype(np.float32))

    @property
    def across(self) -> NDArray[np.floating]:
        """Unit vector of v: ``along`` turned clockwise by 90 degrees, as seen."""
        return np.array([-self.along[1], self.along[0]], np.float32)

    def local(self, points: Points) -> Points:
        """Convert pixels to (u, v): (n, 2)."""
        offset = points - self.origin
        return np.stack([offset @ self.along, offset @ self.across], axis=-1).astype(np.float32)

    def pixels(self, local: Points) -> Points:
        """Convert (u, v) to pixels: (n, 2)."""
        return local @ np.stack([self.along, self.across]) + self.origin

    def grid(self, region: PixelRegion) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """The u and v of each pixel of a region, both (height, width)."""
        x = np.arange(region.left, region.right, dtype=np.float32) - self.origin[0]
        y = (np.arange(region.top, region.bottom, dtype=np.float32) - self.origin[1])[:, np.newaxis]
        (ax, ay), (bx, by) = self.along, self.across
        return x * ax + y * ay, x * bx + y * by


def smoothstep(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """0 below 0, 1 above 1, and a smooth curve in between."""
    bounded = np.clip(values, 0, 1)
    return np.asarray(bounded * bounded * (3 - 2 * bounded), np.float32)


def resample(picture: Picture, x: NDArray[np.floating], y: NDArray[np.floating], method: int = LINEAR) -> Picture:
    """Read a picture at given positions; positions outside read the nearest border pixel.

    Args:
        picture: (height, width, 3).
        x: Where each output pixel is read, in pixels: (h, w).
        y: Likewise.
        method: LINEAR, or CUBIC, which is sharper and takes twice as long.

    Returns:
        (h, w, 3).
    """
    positions = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return cast(Picture, cv2.remap(picture, *positions, method, borderMode=cv2.BORDER_REPLICATE))
