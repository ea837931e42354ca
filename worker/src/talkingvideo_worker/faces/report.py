"""The report about the faces in a picture."""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_worker.faces.detection import PRESENCE, detect
from talkingvideo_worker.faces.mesh import landmarks
from talkingvideo_worker.faces.types import Face, Landmarks, Picture

PROFILE = 35.0
"""Degrees of yaw above which lips and jaw are hard to animate."""

MINIMUM_PRESENCE = 0.4
"""Presence of the mesh below which a detection is not a face after all."""

SMALL = 0.12
"""A face smaller than this fraction of the picture's shorter side shows little of its mouth."""


@dataclass(frozen=True)
class FaceReport:
    """The faces found in a picture.

    Attributes:
        count: Number of faces.
        boxes: Box of each face, largest first: x, y, width and height as fractions of the picture.
        yaw: Degrees by which the largest face is turned; None without a face.
        confident: Whether the largest face can be animated well.
        sentences: For the user: what was found, then the reasons why ``confident`` is false.
    """

    count: int
    boxes: tuple[tuple[float, float, float, float], ...]
    yaw: float | None
    confident: bool
    sentences: tuple[str, ...]


def describe(rgb: Picture) -> FaceReport:
    """Report the faces in a picture, and how well the largest one can be animated."""
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
    """Faces to which the mesh fits, with their landmarks, largest first."""
    found = [(face, landmarks(rgb, face)) for face in detect(rgb)]
    return [(face, mesh) for face, mesh in found if mesh.presence >= MINIMUM_PRESENCE]


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
