"""Which of the 468 points of the face mesh are what, and the frame of reference of a mouth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces.types import Points

UPPER_LIP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
"""Lower edge of the upper lip, from the corner on the picture's left to the one on its right."""

LOWER_LIP = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
"""Upper edge of the lower lip, likewise."""

UPPER_LIP_TOP, LOWER_LIP_BOTTOM = 0, 17
MOUTH_CORNERS = (61, 291)
NOSE_BASE, NOSE_TIP, CHIN, FOREHEAD = 2, 1, 152, 10
EYE_CORNERS = (33, 263)
CHEEKS = (234, 454)
SKIN = (50, 280, 205, 425, 117, 346)
"""On the cheeks: for the colour of skin and light."""

UPPER_LIDS = ((33, 246, 161, 160, 159, 158, 157, 173, 133), (362, 398, 384, 385, 386, 387, 388, 466, 263))
LOWER_LIDS = ((33, 7, 163, 144, 145, 153, 154, 155, 133), (362, 382, 381, 380, 374, 373, 390, 249, 263))
BROWS = ((53, 52, 65), (295, 282, 283))
"""Lower edges of the brows, above the eyes."""

USED = tuple(
    sorted(
        {
            *UPPER_LIP,
            *LOWER_LIP,
            *MOUTH_CORNERS,
            *EYE_CORNERS,
            *CHEEKS,
            *SKIN,
            *(point for group in (*UPPER_LIDS, *LOWER_LIDS, *BROWS) for point in group),
            *(UPPER_LIP_TOP, LOWER_LIP_BOTTOM, NOSE_BASE, NOSE_TIP, CHIN, FOREHEAD),
        }
    )
)
"""All points that drawing needs: only these are kept."""


def compact(points: Points) -> Points:
    """Keep the points that drawing needs: (len(USED), 2)."""
    return np.ascontiguousarray(points[list(USED)])


def expand(kept: Points) -> Points:
    """Undo ``compact``: (468, 2), NaN where nothing was kept."""
    points = np.full((468, 2), np.nan, np.float32)
    points[list(USED)] = kept
    return points


@dataclass(frozen=True)
class Axes:
    """A frame of reference in the picture: u along, v across, both in pixels.

    Attributes:
        origin: Where u and v are 0.
        along: Unit vector of u.
    """

    origin: NDArray[np.floating]
    along: NDArray[np.floating]

    @property
    def across(self) -> NDArray[np.floating]:
        """Unit vector of v: a quarter turn clockwise from ``along``, as seen."""
        return np.array([-self.along[1], self.along[0]], np.float32)

    def local(self, points: Points) -> Points:
        """Coordinates u and v of points of the picture: (n, 2)."""
        offset = points - self.origin
        return np.stack([offset @ self.along, offset @ self.across], axis=-1).astype(np.float32)

    def grid(self, region: Region) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        """Coordinates u and v of each pixel of a region, both (height, width)."""
        x = np.arange(region.left, region.right, dtype=np.float32) - self.origin[0]
        y = (np.arange(region.top, region.bottom, dtype=np.float32) - self.origin[1])[:, np.newaxis]
        (ax, ay), (bx, by) = self.along, self.across
        return x * ax + y * ay, x * bx + y * by


@dataclass(frozen=True)
class Region:
    """A part of the picture, in whole pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """To cut the region from an array of the picture's size."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def empty(self) -> bool:
        """Whether nothing of it lies within the picture."""
        return self.right - self.left < 4 or self.bottom - self.top < 4


def axes(left: NDArray[np.floating], right: NDArray[np.floating]) -> Axes:
    """The frame of reference half way between two points."""
    span = right - left
    return Axes((left + right) / 2, (span / max(float(np.hypot(*span)), 1e-3)).astype(np.float32))


def region_around(corners: Points, shape: tuple[int, ...]) -> Region:
    """The region of a picture of ``shape`` (height, width, …) that holds some points."""
    low, high = np.floor(corners.min(axis=0)), np.ceil(corners.max(axis=0)) + 1
    return Region(
        int(np.clip(low[0], 0, shape[1])),
        int(np.clip(low[1], 0, shape[0])),
        int(np.clip(high[0], 0, shape[1])),
        int(np.clip(high[1], 0, shape[0])),
    )


def smooth_step(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """0 below 0, 1 above 1, and a smooth curve between."""
    bounded = np.clip(values, 0, 1)
    return np.asarray(bounded * bounded * (3 - 2 * bounded), np.float32)
