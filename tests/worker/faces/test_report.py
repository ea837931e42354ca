from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data

from talkingvideo_worker.faces import Picture, describe


def test_one_face(astronaut: Picture) -> None:
    report = describe(astronaut)
    assert report.count == 1
    assert report.confident
    assert report.sentences == ("1 face found.",)
    x, y, width, height = report.boxes[0]
    assert x < 225 / 512 < x + width
    assert y < 115 / 512 < y + height


def test_several_faces(two_astronauts: Picture) -> None:
    report = describe(two_astronauts)
    assert report.count == 2
    assert report.sentences[0] == "2 faces found; the largest is animated."


def test_no_face() -> None:
    report = describe(np.asarray(skimage.data.coffee(), np.uint8))  # type: ignore[no-untyped-call]
    assert (report.count, report.boxes, report.yaw, report.confident) == (0, (), None, False)
    assert report.sentences == ("No face found.",)


def test_a_face_turned_away_is_said_to_be() -> None:
    report = describe(np.dstack([skimage.data.camera()] * 3))  # type: ignore[no-untyped-call]
    assert report.count == 1
    assert not report.confident
    assert report.yaw == pytest.approx(50, abs=15)
    assert "turned away" in report.sentences[1]


def test_a_small_face_is_said_to_be(astronaut: Picture) -> None:
    canvas = np.full((1000, 1000, 3), 128, np.uint8)
    canvas[300:620, 300:620] = cv2.resize(astronaut, (320, 320), interpolation=cv2.INTER_AREA)
    report = describe(canvas)
    assert not report.confident
    assert "small" in report.sentences[1]
