"""The mouth: lips and jaw of the picture, warped. ``mouth_interior`` draws what shows between the lips.

Everything is computed in the mouth's own coordinates: u runs from corner to corner, v towards the chin. For each u, three
curves describe the picture: the edge of the upper lip, the edge of the lower lip, and the lip line where the two would meet.
A shape says where the edges should be. Pixels above follow the upper lip, less and less up to the nose; pixels below follow
the lower lip; the chin moves as a whole, and the motion ends in the neck and at the cheeks. These fields are computed once.
A frame combines them with a few numbers and maps each pixel exactly once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview import visemes
from talkingvideo_worker.engines.preview.geometry import CUBIC, Axes, PixelRegion, resample, smoothstep
from talkingvideo_worker.engines.preview.landmarks import find_lip_line
from talkingvideo_worker.engines.preview.mouth_interior import MouthInterior, Opening
from talkingvideo_worker.faces import mesh_points
from talkingvideo_worker.faces.types import Picture, Points

Field = NDArray[np.floating]
"""(height, width) of the region."""

WIDEST_JAW = 0.36
"""Widths of the mouth that the lower lip can hang down; the fields are exact up to here."""

MEETING = 0.3
"""Where lips that are apart in the picture would meet: 0 at the upper one's edge, 1 at the lower one's."""

CURVE_STEPS = 6
"""Entries per pixel in the tables of the curves."""

OPEN_FROM, OPEN_TO = 0.085, 0.12
"""Gap of the lips in the picture, in widths of the mouth, from which the mouth counts as partly or fully open. The mesh
leaves a gap of up to 0.08 between closed lips."""


@dataclass(frozen=True)
class _Curves:
    """Tables over u with CURVE_STEPS entries per pixel; the middle entry is u = 0.

    Attributes:
        upper: v of the upper lip's edge.
        lower: v of the lower lip's edge.
        lip_line: v of the line where the lips would meet.
        position: -1 at the left corner … 1 at the right one, evenly along the lips, so that a turned face opens correctly.
    """

    upper: Field
    lower: Field
    lip_line: Field
    position: Field


class Mouth:
    """One mouth in one picture, ready to be drawn in any shape.

    Args:
        picture: (height, width, 3).
        points: (468, 2), the landmarks of its face.
        skin: Colour of the skin, RGB 0..255. It decides the light on what the picture does not show.
    """

    def __init__(self, picture: Picture, points: Points, skin: NDArray[np.floating]) -> None:
        lips = points[[*mesh_points.UPPER_LIP, *mesh_points.LOWER_LIP]]
        self._axes = Axes.between(lips[0], lips[10])
        left, right = points[list(mesh_points.MOUTH_CORNERS)]
        self._width = width = max(float(np.hypot(*(right - left))), 4.0)
        eyes = float(np.hypot(*(points[mesh_points.EYE_CORNERS[1]] - points[mesh_points.EYE_CORNERS[0]])))
        self._half_jaw = half_jaw = max(0.95 * eyes, 1.1 * width)
        nose, chin, lip_top = self._axes.local(
            points[[mesh_points.NOSE_BASE, mesh_points.CHIN, mesh_points.UPPER_LIP_TOP]]
        )[:, 1]
        self._chin = max(float(chin), 0.6 * width)
        top, bottom = min(float(nose), -0.25 * width) - 0.3 * width, self._chin + 0.9 * width
        corners = np.array([[u, v] for u in (-half_jaw, half_jaw) for v in (top, bottom)], np.float32)
        self.region = PixelRegion.bounding(self._axes.pixels(corners), picture.shape)
        if self.region.empty:
            return
        self._source = picture
        self._curves = self._trace(self._axes.local(lips))
        self._prepare_fields(float(nose), float(lip_top), top)
        curves = self._at(self._curves, self._index(self._u))
        self._interior = MouthInterior(picture[self.region.slices], self._u, self._v, curves, width, skin, self._open)

    def draw(self, canvas: Picture, shape: NDArray[np.floating]) -> None:
        """Draw the mouth.

        Args:
            canvas: (height, width, 3), changed in the mouth's region.
            shape: One row of ``MouthShapes``.
        """
        if self.region.empty:
            return
        jaw = min(float(shape[visemes.JAW]), WIDEST_JAW) * self._width
        lift = float(shape[visemes.LIFT]) * self._width
        press = 0.018 * float(shape[visemes.PRESS]) * self._width
        spread = float(shape[visemes.SPREAD])
        widening = self._width * ((0.06 if spread > 0 else 0.15) * spread - 0.12 * float(shape[visemes.JAW]))

        index = self._index(self._u - widening * self._spread)
        upper, lower, lip_line, position = self._at(self._curves, index)
        arch = _arch(position, float(shape[visemes.ROUNDING]))
        edge_up = lip_line - (lift - press) * arch
        edge_down = lip_line + (jaw - press) * arch
        drop = jaw - press - self._rest_gap
        below = ((edge_down - lower) * self._lip_share + drop * self._chin_share) * self._neck
        above = (edge_up - upper) * self._philtrum
        shift = np.where(self._v > (edge_up + edge_down) / 2, below, above)

        (ax, ay), (bx, by) = self._axes.along, self._axes.across
        sideways = widening * self._spread
        map_x = self._x - sideways * ax - shift * bx
        map_y = self._y - sideways * ay - shift * by
        face = resample(self._source, map_x, map_y, CUBIC)
        opening = Opening(edge_up, edge_down, position, (jaw + lift) / self._width, float(shape[visemes.TONGUE]))
        self._interior.draw(face, opening)
        canvas[self.region.slices] = face

    def _trace(self, lips: Points) -> _Curves:
        """Tables of the lips' edges. Beyond the corners they stay level."""
        upper, lower = lips[:11].copy(), lips[11:].copy()
        lower[:, 1] = np.maximum(lower[:, 1], upper[:, 1])
        self._open = openness((lower - upper)[:, 1].max() / self._width)
        line = find_lip_line(self._source, self._axes, upper, lower, self._width)
        for edge in (upper, lower):
            edge[:, 1] = line + (edge[:, 1] - line) * self._open
        reach = int(2.5 * self._half_jaw) + 2
        u = np.arange(-reach * CURVE_STEPS, reach * CURVE_STEPS + 1, dtype=np.float32) / CURVE_STEPS
        self._table_middle = reach * CURVE_STEPS
        up, down = (_curve(u, edge) for edge in (upper, lower))
        lip_line = up + MEETING * (down - up)
        self._rest_gap = float((down - lip_line).max())
        middle = (upper[:, 0] + lower[:, 0]) / 2
        even = np.linspace(-1, 1, 11)
        steps = np.maximum.accumulate(middle + np.arange(11) * 1e-3)
        position = np.interp(u, steps, even)
        position = np.where(u < steps[0], -1 + (u - steps[0]) / self._width * 2, position)
        position = np.where(u > steps[-1], 1 + (u - steps[-1]) / self._width * 2, position)
        return _Curves(up, down, lip_line, position.astype(np.float32))

    def _prepare_fields(self, nose: float, lip_top: float, top: float) -> None:
        width, region = self._width, self.region
        self._u, self._v = self._axes.grid(region)
        self._x, self._y = np.meshgrid(
            np.arange(region.left, region.right, dtype=np.float32),
            np.arange(region.top, region.bottom, dtype=np.float32),
        )
        _, lower, lip_line, position = self._at(self._curves, self._index(self._u))
        side = np.abs(self._u) / self._half_jaw
        inside = smoothstep((1 - side) / 0.35)

        lowest = np.maximum(lower, lip_line + WIDEST_JAW * width * _arch(position, 0.0))
        chin = smoothstep((self._v - lowest) / (0.45 * width))
        self._lip_share = 1 - chin
        self._chin_share = chin * np.exp(-np.square(side / 0.72)) * inside
        self._neck = 1 - smoothstep((self._v - self._chin - 0.02 * width) / (0.85 * width))

        start, end = nose + 0.02 * width, min(lip_top, -0.08 * width)
        self._philtrum = smoothstep((self._v - start) / max(end - start, 0.08 * width))

        corner = self._u / (0.5 * width)
        window = np.exp(-np.square(self._v / (0.75 * width))) * smoothstep((self._v - top) / (0.4 * width))
        self._spread = corner * np.exp((1 - np.square(corner)) / 2) * window * inside

    def _index(self, u: Field) -> NDArray[np.int32]:
        return (u * CURVE_STEPS + (self._table_middle + 0.5)).astype(np.int32)

    @staticmethod
    def _at(curves: _Curves, index: NDArray[np.int32]) -> tuple[Field, Field, Field, Field]:
        return curves.upper[index], curves.lower[index], curves.lip_line[index], curves.position[index]


def openness(gap: float) -> float:
    """How far the mouth of a picture counts as open, 0..1. Values in between keep a video from jumping.

    Args:
        gap: Gap of the lips, in widths of the mouth.
    """
    return float(smoothstep(np.array((gap - OPEN_FROM) / (OPEN_TO - OPEN_FROM), np.float32)))


def _arch(position: Field, rounding: float) -> Field:
    """How far the lips are apart along the mouth: 1 in the middle, 0 at the corners and beyond."""
    parabola = np.asarray(np.maximum(1 - np.square(position), 0), np.float32)
    if rounding <= 0:
        return parabola
    return np.asarray(parabola + rounding * (np.sqrt(parabola) - parabola), np.float32)


def _curve(u: Field, edge: Points) -> Field:
    """A smooth curve through the points of one edge; level beyond its ends."""
    order = np.maximum.accumulate(edge[:, 0] + np.arange(len(edge)) * 1e-3)
    values = np.interp(u, order, edge[:, 1]).astype(np.float32)
    reach = max(1, int(0.25 * (order[-1] - order[0]) / 10 * CURVE_STEPS)) * 2 + 1
    kernel = np.hanning(reach + 2)[1:-1].astype(np.float32)
    padded = np.pad(values, reach // 2, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), "valid").astype(np.float32)
