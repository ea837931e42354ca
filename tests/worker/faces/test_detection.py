from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from talkingvideo_worker.faces import Picture, detect

EYES = np.array([[205, 108], [245, 107]])
"""Of the astronaut, as measured by hand."""


def test_a_face_is_found_where_it_is(astronaut: Picture) -> None:
    (face,) = detect(astronaut)
    assert face.score > 0.7
    assert np.abs(face.keypoints[:2] - EYES).max() < 8
    assert face.box.x < 205 and face.box.x + face.box.width > 245


def test_a_face_is_found_in_the_same_place_of_a_larger_canvas(astronaut: Picture) -> None:
    canvas = np.full((700, 1200, 3), 90, np.uint8)
    canvas[150:662, 600:1112] = astronaut
    (face,) = detect(canvas)
    (alone,) = detect(astronaut)
    assert np.abs(face.keypoints - alone.keypoints - [600, 150]).max() < 6


def test_a_small_face_in_a_big_picture_is_found_by_tiles(astronaut: Picture) -> None:
    canvas = np.full((1500, 2000, 3), 128, np.uint8)
    canvas[900:1028, 1250:1378] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    (face,) = detect(canvas)
    x, y = face.box.centre
    assert abs(x - (1250 + 225 / 4)) < 12
    assert abs(y - (900 + 115 / 4)) < 12


def test_the_largest_face_comes_first(astronaut: Picture) -> None:
    small = cv2.resize(astronaut[0:400, 60:400], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    canvas = np.full((400, 700, 3), 128, np.uint8)
    canvas[:240, :204] = small
    canvas[:, 360:] = astronaut[0:400, 60:400]
    first, second = detect(canvas)
    assert first.box.area > second.box.area
    assert first.box.centre[0] > 360 > second.box.centre[0]


@pytest.mark.parametrize("angle", [-40, -20, 20, 40])
def test_a_leaning_face_is_found(astronaut: Picture, angle: float) -> None:
    turn = cv2.getRotationMatrix2D((225, 115), angle, 1.0)
    (face,) = detect(np.asarray(cv2.warpAffine(astronaut, turn, (512, 512)), np.uint8))
    assert np.hypot(face.box.centre[0] - 225, face.box.centre[1] - 115) < 25


@pytest.mark.parametrize("size", [(40, 40), (33, 900), (1, 1), (600, 17)])
def test_pictures_of_any_size_can_be_searched(size: tuple[int, int]) -> None:
    assert detect(np.zeros((*size, 3), np.uint8)) == []


def test_no_face_is_found_where_there_is_none() -> None:
    assert detect(np.asarray(skimage.data.coffee(), np.uint8)) == []  # type: ignore[no-untyped-call]
    assert detect(np.random.default_rng(0).integers(0, 255, (600, 900, 3)).astype(np.uint8)) == []
