from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from talkingvideo_worker.faces import Box, Face, Picture, detect, landmarks

LEFT_EYE, RIGHT_EYE, NOSE, UPPER_LIP, LOWER_LIP, CHIN = 33, 263, 1, 13, 14, 152


def test_the_points_lie_on_the_face(astronaut: Picture) -> None:
    (face,) = detect(astronaut)
    mesh = landmarks(astronaut, face)
    assert mesh.points.shape == (468, 2)
    assert mesh.presence > 0.9
    heights = mesh.points[[LEFT_EYE, NOSE, UPPER_LIP, LOWER_LIP, CHIN], 1]
    assert (np.diff(heights) > 0).all()
    assert abs(mesh.roll) < 6
    assert abs(mesh.yaw) < 10


@pytest.mark.parametrize("angle", [-30.0, 25.0])
def test_roll_is_what_the_picture_was_turned_by(astronaut: Picture, angle: float) -> None:
    upright = landmarks(astronaut, detect(astronaut)[0]).roll
    turn = cv2.getRotationMatrix2D((225, 115), -angle, 1.0)  # OpenCV counts anticlockwise
    turned = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    assert landmarks(turned, detect(turned)[0]).roll - upright == pytest.approx(angle, abs=3)


def test_the_mesh_follows_a_turned_picture(astronaut: Picture) -> None:
    turn = cv2.getRotationMatrix2D((225, 115), 20, 1.0)
    turned = np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8)
    expected = landmarks(astronaut, detect(astronaut)[0]).points @ turn[:, :2].T + turn[:, 2]
    found = landmarks(turned, detect(turned)[0]).points
    assert np.hypot(*(found - expected).T).mean() < 2.0


def test_a_mirrored_profile_turns_the_other_way() -> None:
    profile = np.dstack([skimage.data.camera()] * 3)  # type: ignore[no-untyped-call]
    mirrored = np.ascontiguousarray(profile[:, ::-1])
    one, other = (landmarks(picture, detect(picture)[0]).yaw for picture in (profile, mirrored))
    assert one > 30
    assert other < -30


def test_presence_is_low_where_there_is_no_face(astronaut: Picture) -> None:
    nowhere = Face(Box(400, 350, 90, 90), 1.0, np.array([[420, 380], [460, 380]] * 3, np.float32))
    assert landmarks(astronaut, nowhere).presence < 0.3
