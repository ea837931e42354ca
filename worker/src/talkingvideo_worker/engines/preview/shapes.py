"""Mouth shapes: the few numbers that a mouth is drawn from, and the shapes of speech in them."""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from numpy.typing import NDArray

Shapes = NDArray[np.floating]
"""(frames, 6): one row per frame, columns as the fields of ``Shape``."""


@dataclass(frozen=True)
class Shape:
    """One mouth.

    Attributes:
        jaw: How far the lower lip hangs below the line where closed lips meet, in widths of the mouth.
        lift: How far the upper lip is raised above that line, in widths of the mouth.
        spread: -1 puckered … 0 … 1 drawn apart.
        rounding: 0 pointed corners … 1 an ellipse.
        press: 0 … 1, lips pressed together.
        tongue: 0 flat … 1 raised behind the teeth.
    """

    jaw: float = 0.0
    lift: float = 0.0
    spread: float = 0.0
    rounding: float = 0.0
    press: float = 0.0
    tongue: float = 0.0

    def row(self) -> NDArray[np.floating]:
        """The shape as one row of ``Shapes``."""
        return np.array(astuple(self), np.float32)


JAW, LIFT, SPREAD, ROUNDING, PRESS, TONGUE = range(6)

REST = Shape()
CLOSED = Shape(press=1.0)
"""m, b, p."""
LIP_TEETH = Shape(jaw=-0.01, lift=0.06, spread=0.1)
"""f, v: the lower lip meets the upper teeth."""
SIBILANT = Shape(jaw=0.07, lift=0.045, spread=0.45)
"""s, z: teeth nearly together, lips apart."""
HUSH = Shape(jaw=0.08, lift=0.055, spread=-0.5, rounding=0.7)
"""sh, ch, j: the same, lips pushed forward."""
TIP = Shape(jaw=0.1, lift=0.035, spread=0.15, tongue=0.8)
"""t, d, n, l, th: the tongue at the teeth."""
BACK = Shape(jaw=0.12, lift=0.03, tongue=0.2)
"""k, g, h, and what has no shape of its own."""
ROUND_GLIDE = Shape(jaw=0.07, lift=0.02, spread=-0.85, rounding=0.9)
"""w, r."""
EE = Shape(jaw=0.11, lift=0.05, spread=0.8)
"""see, day."""
EH = Shape(jaw=0.17, lift=0.05, spread=0.45)
"""bed, bit."""
AH = Shape(jaw=0.26, lift=0.055, spread=0.05, rounding=0.25)
"""father, cat."""
UH = Shape(jaw=0.16, lift=0.045, rounding=0.15)
"""the, but."""
OH = Shape(jaw=0.2, lift=0.04, spread=-0.55, rounding=0.85)
"""law, go."""
OO = Shape(jaw=0.09, lift=0.03, spread=-1.0, rounding=1.0)
"""you, book."""
