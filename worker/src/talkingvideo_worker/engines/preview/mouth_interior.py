"""What shows between the lips: teeth (the picture's own if it shows any, otherwise drawn), tongue, and the dark cavity.

The upper teeth belong to the skull and stay in place; the lower teeth and the tongue move with the lower lip. The lips cast
a soft shadow, and everything is lit like the skin around, so that a dim or a grey picture gets a dim or a grey mouth.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview.geometry import resample, smoothstep
from talkingvideo_worker.faces.types import Picture

Field = NDArray[np.floating]

BRIGHT_SKIN = 190.0
"""Luma of skin in full light, which the colours below assume."""

TOOTH = np.array([226, 217, 204], np.float32)
CAVITY = np.array([46, 18, 19], np.float32)
TONGUE = np.array([168, 92, 90], np.float32)
GUM_SHADOW = np.array([120, 60, 60], np.float32)

REACH = 0.5
"""Widths of the mouth below its corners beyond which nothing is painted."""

LIP_ROUNDING = 0.022
"""Widths of the mouth over which the lips turn away from the light at their edges."""

TOOTH_LENGTH = 0.072
"""Widths of the mouth that the upper teeth reach below the lip line."""

TOOTH_EDGES = (0.0, 0.165, 0.295, 0.395, 0.475)
"""Boundaries between teeth, to each side of the middle, in widths of the mouth (from the usual widths of incisors)."""


@dataclass(frozen=True)
class Opening:
    """The gap between the lips, for each pixel of the mouth's region.

    Attributes:
        upper: v of the upper lip's edge: (height, width).
        lower: v of the lower lip's edge: (height, width).
        position: -1 at the left corner … 1 at the right one: (height, width).
        height: Height of the gap in its middle, in widths of the mouth.
        tongue: 0 flat … 1 raised.
    """

    upper: Field
    lower: Field
    position: Field
    height: float
    tongue: float


class MouthInterior:
    """What is behind the lips of one picture.

    Args:
        picture: The mouth's region, (height, width, 3).
        u: u of each pixel.
        v: v of each pixel.
        curves: The unchanged picture's upper edge, lower edge, lip line and position, at each pixel.
        width: Width of the mouth in pixels.
        skin: RGB, 0..255.
        openness: 0..1, how far the mouth is open in the picture: how much of what it shows between the lips is used.
    """

    def __init__(
        self,
        picture: Picture,
        u: Field,
        v: Field,
        curves: tuple[Field, Field, Field, Field],
        width: float,
        skin: NDArray[np.floating],
        openness: float,
    ) -> None:
        upper, lower, lip_line, _ = curves
        rows = np.flatnonzero(((v > -0.2 * width) & (v < REACH * width)).any(axis=1))
        columns = np.flatnonzero((np.abs(u) < 0.62 * width).any(axis=0))
        self._box = (_span(rows), _span(columns))
        cut = self._box
        self._v, self._width = v[cut], width
        self._softness = LIP_ROUNDING * width
        light = float(skin @ np.array([0.299, 0.587, 0.114], np.float32)) / BRIGHT_SKIN
        colour = float(np.clip((skin[0] - skin[2]) / 45, 0, 1))
        self._cavity = _lit(CAVITY, light, colour)
        self._tongue = _lit(TONGUE, light, colour)
        self._tooth = _lit(TOOTH, light**0.7, colour)
        drawn, drawn_cover = self._draw_teeth(u[cut], lip_line[cut], _lit(GUM_SHADOW, light, colour))
        shown, shown_cover = _visible_teeth(picture[cut], v[cut], upper[cut], lower[cut])
        self._teeth = drawn + (shown - drawn) * openness
        self._teeth_cover = drawn_cover + (shown_cover - drawn_cover) * openness
        self._openness = openness

    def draw(self, face: Picture, opening: Opening) -> None:
        """Fill the gap.

        Args:
            face: The mouth's region with the lips drawn; changed in place.
            opening: The gap.
        """
        upper, lower = opening.upper[self._box], opening.lower[self._box]
        near = (self._v > upper - 3 * self._softness) & (self._v < lower + 3 * self._softness)
        near &= np.abs(opening.position[self._box]) < 1.1
        part = (_span(np.flatnonzero(near.any(axis=1))), _span(np.flatnonzero(near.any(axis=0))))
        upper, lower, v = upper[part], lower[part], self._v[part]
        if not v.size:
            return
        target = face[self._box][part]
        position = opening.position[self._box][part]
        cover = np.maximum(np.clip(lower - v + 0.5, 0, 1) - np.clip(upper - v + 0.5, 0, 1), 0)
        painted = target * self._lip_shade(v, upper, lower, position, opening.height)[..., np.newaxis]
        if cover.any():
            inside = self._paint(part, (lower - v) / self._width, (v - upper) / self._width, position, opening)
            painted += (inside - painted) * cover[..., np.newaxis]
        target[:] = np.clip(painted + 0.5, 0, 255).astype(np.uint8)

    def _paint(
        self, part: tuple[slice, slice], from_below: Field, from_above: Field, position: Field, opening: Opening
    ) -> Field:
        """Paint from back to front. Distances from the lips' edges are in widths of the mouth."""
        height = opening.height
        side = 1 - np.square(np.clip(position, -1, 1))
        root = np.sqrt(side)
        inside = np.broadcast_to(self._cavity, (*side.shape, 3)).copy()

        mound = (0.30 + 0.35 * opening.tongue) * height * root * smoothstep((side - 0.25) / 0.5)
        tongue = smoothstep((mound - from_below) / 0.05 + 0.5) * (0.85 * _ramp(height, 0.06, 0.18))
        light = 0.62 + 0.5 * np.clip(from_below / 0.2, 0, 0.6)
        _cover(inside, self._tongue * light[..., np.newaxis], tongue)

        lower_teeth = smoothstep((0.03 * root - from_below) / 0.02 + 0.5) * smoothstep((side - 0.35) / 0.4)
        _cover(inside, self._tooth * np.float32(0.8), lower_teeth * (0.2 * _ramp(height, 0.04, 0.10)))
        _cover(inside, self._teeth[part], self._teeth_cover[part])

        shadow = 0.62 + 0.38 * smoothstep(from_above / 0.045 + 0.1)
        shadow *= 0.78 + 0.22 * smoothstep(from_below / 0.05)
        shadow *= 0.3 + 0.7 * smoothstep(side / 0.7)
        inside *= (1 - (1 - shadow) * (1 - 0.45 * self._openness))[..., np.newaxis]
        return inside

    def _lip_shade(self, v: Field, upper: Field, lower: Field, position: Field, height: float) -> Field:
        """Shade of the lips' edges, which darken towards the gap; where lips that are open in the picture meet, a line shows."""
        distance = np.minimum(np.maximum(np.maximum(upper - v, v - lower), 0) / self._softness, 4)
        crease = 0.22 * self._openness * (1 - _ramp(height, 0.0, 0.06))
        amount = 0.16 + crease + 0.12 * _ramp(height, 0.0, 0.1)
        return 1 - amount * np.exp(-np.square(distance)) * smoothstep((1.05 - np.abs(position)) / 0.12)

    def _draw_teeth(self, u: Field, lip_line: Field, between: NDArray[np.floating]) -> tuple[Field, Field]:
        """Colour and coverage of upper teeth, for a picture that shows none."""
        width = self._width
        along, below = np.abs(u) / width, (self._v - lip_line) / width
        bend = np.sqrt(np.clip(1 - np.square(along / 0.46), 0, 1))
        edge = TOOTH_LENGTH * (0.35 + 0.65 * bend)
        tips = np.zeros_like(along)
        lines = np.zeros_like(along)
        for left, right in pairwise(TOOTH_EDGES):
            middle = (left + right) / 2
            inside = (along >= left) & (along < right)
            tips[inside] = np.square((along[inside] - middle) / (right - left) * 2)
        for edge_position in TOOTH_EDGES:
            lines = np.maximum(lines, np.exp(-np.square((along - edge_position) / 0.007)))
        soft = max(0.9 / width, 0.012)
        cover = smoothstep((edge - 0.008 * tips**2 - below) / (2 * soft) + 0.5) * smoothstep((0.44 - along) / 0.08)
        shade = (1 - 0.10 * lines) * (1 - 0.45 * np.square(along / 0.44))
        colour = self._tooth * shade[..., np.newaxis]
        gum = smoothstep((-below - 0.10) / 0.05)[..., np.newaxis]
        return (colour + (between - colour) * gum).astype(np.float32), cover.astype(np.float32)


def _visible_teeth(picture: Picture, v: Field, upper: Field, lower: Field) -> tuple[Field, Field]:
    """Colour and coverage of what the picture shows between the lips; its first row is repeated above."""
    gap = lower - upper
    y, x = np.mgrid[0 : v.shape[0], 0 : v.shape[1]].astype(np.float32)
    down = np.maximum(upper + 0.12 * gap - v, 0)
    colour = resample(picture, x, y + down).astype(np.float32)
    feather = np.maximum(0.14 * gap, 1.0)
    return colour, smoothstep((lower - 0.16 * gap - v) / feather + 0.5) * (gap > 0.5)


def _cover(under: Field, colour: Field, share: Field) -> None:
    """Blend a colour over another, in place, by the share of each pixel."""
    under += (colour - under) * share[..., np.newaxis]


def _ramp(value: float, start: float, end: float) -> float:
    return min(max((value - start) / (end - start), 0.0), 1.0)


def _span(indices: NDArray[np.intp]) -> slice:
    """From the first to the last index."""
    return slice(int(indices[0]), int(indices[-1]) + 1) if len(indices) else slice(0)


def _lit(colour: NDArray[np.floating], light: float, saturation: float) -> NDArray[np.floating]:
    """A colour in the picture's light; less saturated where the picture is."""
    grey = float(colour @ np.array([0.299, 0.587, 0.114], np.float32))
    return np.asarray(((grey + (colour - grey) * saturation) * np.clip(light, 0.15, 1.2)), np.float32)
