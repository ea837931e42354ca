"""What to tell the user about the faces in a picture."""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_worker.faces.detection import PRESENCE, detect
from talkingvideo_worker.faces.mesh import landmarks
from talkingvideo_worker.faces.types import Face, Landmarks, Picture

PROFILE = 35.0
"""Degrees of yaw from which lips and jaw are hard to animate."""

LEAST_PRESENCE = 0.4
"""Of a mesh, below which what the detector found is no face after all."""

SMALL = 0.12
"""A face below this fraction of the picture's shorter side shows little of its mouth."""


@dataclass(frozen=True)
class FaceReport:
    """What was found.

    Attributes:
        count: Faces.
        boxes: Of each, the largest first: x, y, width and height as fractions of the picture.
        yaw: Degrees that the largest face is turned; None without a face.
        confident: Whether a mouth can be animated where it is.
        sentences: For the user; the last ones are warnings where ``confident`` is false.
    """

    count: int
    boxes: tuple[tuple[float, float, float, float], ...]
    yaw: float | None
    confident: bool
    sentences: tuple[str, ...]


def describe(rgb: Picture) -> FaceReport:
    """Say what was found in a picture, and how well the largest face can be animated."""
    found = find_faces(rgb)
    if not found:
        return FaceReport(0, (), None, confident=False, sentences=("No face found.",))
    height, width = rgb.shape[:2]
    boxes = tuple(
        (face.box.x / width, face.box.y / height, face.box.width / width, face.box.height / height) for face, _ in found
    )
    largest, mesh = found[0]
    doubts = tuple(_doubts(largest, mesh, min(width, height)))
    return FaceReport(len(found), boxes, mesh.yaw, not doubts, (_found(len(found)), *doubts))


def find_faces(rgb: Picture) -> list[tuple[Face, Landmarks]]:
    """Faces on which a mesh fits, the largest first."""
    found = [(face, landmarks(rgb, face)) for face in detect(rgb)]
    return [(face, mesh) for face, mesh in found if mesh.presence >= LEAST_PRESENCE]


def _found(count: int) -> str:
    return "1 face found." if count == 1 else f"{count} faces found; the largest is animated."


def _doubts(face: Face, mesh: Landmarks, side: int) -> list[str]:
    doubts = []
    if mesh.presence < PRESENCE:
        doubts.append("The face is hard to recognise: its mouth may be drawn in the wrong place.")
    if abs(mesh.yaw) > PROFILE:
        doubts.append(f"The face is turned away by about {abs(mesh.yaw):.0f} degrees: a frontal picture looks better.")
    if max(face.box.width, face.box.height) < SMALL * side:
        doubts.append("The face is small: a closer picture looks better.")
    return doubts
