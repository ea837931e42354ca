"""The landmarks that the engine keeps of a face, and the lip line, which landmarks alone place too inexactly."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview.geometry import Axes, resample
from talkingvideo_worker.faces import mesh_points
from talkingvideo_worker.faces.types import Picture, Points

KEPT = tuple(
    sorted(
        {
            *mesh_points.UPPER_LIP,
            *mesh_points.LOWER_LIP,
            *mesh_points.MOUTH_CORNERS,
            *mesh_points.EYE_CORNERS,
            *mesh_points.CHEEKS,
            *mesh_points.CHEEK_SKIN,
            *(
                point
                for group in (*mesh_points.UPPER_LIDS, *mesh_points.LOWER_LIDS, *mesh_points.BROWS)
                for point in group
            ),
            *(mesh_points.UPPER_LIP_TOP, mesh_points.LOWER_LIP_BOTTOM),
            *(mesh_points.NOSE_BASE, mesh_points.NOSE_TIP, mesh_points.CHIN, mesh_points.FOREHEAD),
        }
    )
)
"""The points of the face mesh that drawing needs: only these are stored for each frame."""

COLUMNS, ROWS = 33, 41
"""Size of the strip in which the lip line is searched."""

MARGIN = 0.03
"""How far outside the landmarks' edges the strip reaches, in widths of the mouth."""

CENTRE_PREFERENCE = 40.0
"""Grey levels by which a pixel at the edge of the strip must be darker than one in the middle to be preferred."""

LINE_DEGREE = 4
"""Degree of the polynomial that smooths the lip line."""


def compact(points: Points) -> Points:
    """Keep the points that drawing needs: (len(KEPT), 2)."""
    return np.ascontiguousarray(points[list(KEPT)])


def expand(kept: Points) -> Points:
    """Undo ``compact``: (468, 2), NaN for points that were not kept."""
    points = np.full((468, 2), np.nan, np.float32)
    points[list(KEPT)] = kept
    return points


def find_lip_line(picture: Picture, axes: Axes, upper: Points, lower: Points, width: float) -> NDArray[np.floating]:
    """Find where closed lips meet, by the dark line between them: landmarks alone are off by a lip's thickness.

    Args:
        picture: (height, width, 3).
        axes: The mouth's coordinate system.
        upper: (n, 2) u and v of the upper lip's edge, from left to right.
        lower: (n, 2) u and v of the lower lip's edge.
        width: Width of the mouth in pixels.

    Returns:
        (n,) v of the line halfway between corresponding points of the two edges.
    """
    middle = (upper + lower) / 2
    u = np.linspace(middle[0, 0], middle[-1, 0], COLUMNS)
    centre = np.interp(u, middle[:, 0], middle[:, 1])
    reach = MARGIN * width + np.interp(u, middle[:, 0], (lower - upper)[:, 1] / 2)
    offsets = np.linspace(-1, 1, ROWS)[:, np.newaxis]
    v = centre + offsets * reach
    (ax, ay), (bx, by) = axes.along, axes.across
    x, y = axes.origin[0] + u * ax + v * bx, axes.origin[1] + u * ay + v * by
    strip = resample(picture, x, y)
    grey = cv2.GaussianBlur(cv2.cvtColor(strip, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), sigmaX=1.5, sigmaY=1.0)
    darkest = np.argmin(grey + CENTRE_PREFERENCE * np.square(offsets), axis=0)
    found = v[darkest, np.arange(COLUMNS)]
    weights = np.sqrt(1.05 - np.square(np.linspace(-1, 1, COLUMNS)))
    line = np.polynomial.Polynomial.fit(u, found, LINE_DEGREE, w=weights)
    return np.asarray(line(middle[:, 0]), np.float32)
