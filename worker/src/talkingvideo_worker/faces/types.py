"""Types of face detection: boxes, faces and landmarks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating]
"""Positions in a picture: (n, 2), x and y in pixels."""

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
        """Area in pixels."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """X and y of the centre in pixels."""
        return self.x + self.width / 2, self.y + self.height / 2


@dataclass(frozen=True)
class Face:
    """A face found by the detector.

    Attributes:
        box: From the brows to the chin, without the hair.
        score: The detector's confidence, 0..1.
        keypoints: (6, 2) pixels: left eye, right eye, nose tip, mouth, left ear, right ear, as the picture shows them.
    """

    box: Box
    score: float
    keypoints: Points


@dataclass(frozen=True)
class Landmarks:
    """Landmarks of one face.

    Attributes:
        points: (468, 2) pixels, in the numbering of MediaPipe's face mesh.
        presence: 0..1, how likely the mesh fits a face at all.
        roll: Degrees by which the head leans, clockwise as seen; 0 is upright.
        yaw: Degrees by which the head is turned: 0 faces the camera, positive is towards the picture's right.
    """

    points: Points
    presence: float
    roll: float
    yaw: float
