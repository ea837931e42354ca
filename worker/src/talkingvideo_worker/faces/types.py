"""What is found in a picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]
"""Places in a picture: (n, 2), x and y in pixels."""

Picture = NDArray[np.uint8]
"""(height, width, 3), RGB, 0..255."""


@dataclass(frozen=True)
class Box:
    """A rectangle in whole pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Square pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """Its x and y in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Face:
    """A face found by the detector.

    Attributes:
        box: From the brows to the chin, so without the hair.
        score: 0..1.
        keypoints: (6, 2) pixels: the eye on the picture's left, the one on its right, nose tip, mouth, left ear, right ear.
    """

    box: Box
    score: float
    keypoints: Points


@dataclass(frozen=True)
class Landmarks:
    """The face mesh.

    Attributes:
        points: (468, 2) pixels, in the numbering of MediaPipe's face mesh.
        presence: 0..1, whether the mesh sits on a face at all.
        roll: Degrees that the head leans, clockwise as seen; 0 is upright.
        yaw: Degrees that the head turns: 0 looks into the camera, positive towards the picture's right.
    """

    points: Points
    presence: float
    roll: float
    yaw: float
