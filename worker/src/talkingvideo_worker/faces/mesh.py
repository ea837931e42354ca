"""The face mesh: 468 landmarks of a face.

The network expects the face upright in a square crop 1.5 times as large as the face. The first crop comes from the
detector's box. A second crop, around the first landmarks, is steadier, because it depends less on the exact box.

Source of the network's layout: the model card of MediaPipe Face Mesh.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces.mesh_points import CHEEKS, EYE_CORNERS
from talkingvideo_worker.faces.models import MESH, model
from talkingvideo_worker.faces.types import Face, Landmarks, Picture, Points

MARGIN = 1.5
"""Side of the crop over the longer side of the face."""


def landmarks(rgb: Picture, face: Face) -> Landmarks:
    """Fit the mesh to one face.

    Args:
        rgb: The picture in which ``face`` was found.
        face: A face returned by ``detect``.
    """
    side = MARGIN * max(face.box.width, face.box.height)
    rough, _ = _fit(rgb, np.array(face.box.centre), side, _angle(face.keypoints[0], face.keypoints[1]))
    left_eye, right_eye = EYE_CORNERS
    angle = _angle(rough[left_eye], rough[right_eye])
    low, high = rough[:, :2].min(axis=0), rough[:, :2].max(axis=0)
    mesh, presence = _fit(rgb, (low + high) / 2, MARGIN * float((high - low).max()), angle)
    return Landmarks(
        points=np.ascontiguousarray(mesh[:, :2], np.float32),
        presence=presence,
        roll=float(np.degrees(_angle(mesh[left_eye], mesh[right_eye]))),
        yaw=_yaw(mesh),
    )


def _fit(rgb: Picture, centre: NDArray[np.floating], side: float, angle: float) -> tuple[NDArray[np.floating], float]:
    """The mesh (468, 3) in the picture's pixels, including its depth, and the presence, from one crop."""
    network = model(MESH)
    scale = max(side, 1.0) / network.side
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    to_picture = np.column_stack([turn, np.asarray(centre) - turn @ np.full(2, network.side / 2)])
    crop = cv2.warpAffine(rgb, to_picture, (network.side, network.side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    mesh, presence = network.run(crop.astype(np.float32) / 255)
    points = mesh.reshape(-1, 3)
    flat = points[:, :2] @ turn.T + to_picture[:, 2]
    probability = 1 / (1 + np.exp(-float(np.clip(presence.item(), -60, 60))))
    return np.column_stack([flat, points[:, 2] * scale]).astype(np.float32), probability


def _angle(left: Points, right: Points) -> float:
    """Radians from the horizontal."""
    return float(np.arctan2(right[1] - left[1], right[0] - left[0]))


def _yaw(mesh: NDArray[np.floating]) -> float:
    """Degrees, from how much nearer one cheek is to the camera than the other."""
    left, right = mesh[list(CHEEKS)]
    return float(np.degrees(np.arctan2(right[2] - left[2], np.hypot(*(right - left)[:2]))))
