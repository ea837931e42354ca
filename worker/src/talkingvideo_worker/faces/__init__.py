"""Faces in pictures: detection, landmarks, a report for the user, and crops that keep the faces."""

from talkingvideo_worker.faces.detection import detect
from talkingvideo_worker.faces.framing import crop_for
from talkingvideo_worker.faces.mesh import landmarks
from talkingvideo_worker.faces.models import models_digest
from talkingvideo_worker.faces.report import FaceReport, describe, find_faces
from talkingvideo_worker.faces.types import Box, Face, Landmarks, Picture, Points

__all__ = [
    "Box",
    "Face",
    "FaceReport",
    "Landmarks",
    "Picture",
    "Points",
    "crop_for",
    "describe",
    "detect",
    "find_faces",
    "landmarks",
    "models_digest",
]
