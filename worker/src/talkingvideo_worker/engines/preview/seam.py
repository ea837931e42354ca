"""Where closed lips meet, by the dark line between them: landmarks alone are a lip's thickness off."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview.anatomy import Axes
from talkingvideo_worker.engines.preview.warp import sample
from talkingvideo_worker.faces.types import Picture, Points

COLUMNS, ROWS = 33, 41
MARGIN = 0.03
"""How far outside the landmarks' edges the line is looked for, in widths of the mouth."""

STRAYING = 40.0
"""Levels of grey that a place at the end of the searched strip has to be darker by, to be chosen over the middle."""

BENDS = 4
"""Degree of the polynomial that the line is smoothed by."""


def dark_line(picture: Picture, axes: Axes, upper: Points, lower: Points, width: float) -> NDArray[np.floating]:
    """Find the line between two closed lips.

    Args:
        picture: (height, width, 3).
        axes: The mouth's frame of reference.
        upper: (n, 2) u and v of the upper lip's edge, from left to right.
        lower: (n, 2) of the lower lip's edge.
        width: Of the mouth, pixels.

    Returns:
        (n,) v of the line at the middles of both edges.
    """
    middle = (upper + lower) / 2
    u = np.linspace(middle[0, 0], middle[-1, 0], COLUMNS)
    centre = np.interp(u, middle[:, 0], middle[:, 1])
    reach = MARGIN * width + np.interp(u, middle[:, 0], (lower - upper)[:, 1] / 2)
    offsets = np.linspace(-1, 1, ROWS)[:, np.newaxis]
    v = centre + offsets * reach
    (ax, ay), (bx, by) = axes.along, axes.across
    x, y = axes.origin[0] + u * ax + v * bx, axes.origin[1] + u * ay + v * by
    strip = sample(picture, x, y)
    grey = cv2.GaussianBlur(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigmaX=1.5, sigmaY=1.0)
    darkest = np.argmin(grey + STRAYING * np.square(offsets), axis=0)
    found = v[darkest, np.arange(COLUMNS)]
    trust = np.sqrt(1.05 - np.square(np.linspace(-1, 1, COLUMNS)))
    line = np.polynomial.Polynomial.fit(u, found, BENDS, w=trust)
    return np.asarray(line(middle[:, 0]), np.float32)
