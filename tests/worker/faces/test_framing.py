from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_worker.faces import Box, Face, crop_for

SIZES = st.integers(64, 4000)
ASPECTS = st.floats(0.4, 2.5)


def face(x: int, y: int, side: int) -> Face:
    return Face(Box(x, y, side, side), 1.0, np.zeros((6, 2), np.float32))


@st.composite
def pictures(draw: st.DrawFn) -> tuple[int, int, list[Face]]:
    width, height = draw(SIZES), draw(SIZES)
    faces = []
    for _ in range(draw(st.integers(0, 4))):
        side = draw(st.integers(8, max(8, min(width, height) // 2)))
        faces.append(face(draw(st.integers(0, width - side)), draw(st.integers(0, height - side)), side))
    return width, height, faces


@given(pictures(), ASPECTS)
def test_the_crop_lies_within_the_picture_and_has_the_aspect(
    picture: tuple[int, int, list[Face]], aspect: float
) -> None:
    width, height, faces = picture
    crop = crop_for(width, height, aspect, faces)
    assert crop.x >= 0 and crop.y >= 0
    assert crop.x + crop.width <= width and crop.y + crop.height <= height
    assert crop.width == width or crop.height == height
    assert abs(crop.width - crop.height * aspect) <= max(1.0, aspect)


@given(pictures(), ASPECTS)
def test_the_largest_face_is_never_cut(picture: tuple[int, int, list[Face]], aspect: float) -> None:
    width, height, faces = picture
    crop = crop_for(width, height, aspect, faces)
    if not faces:
        return
    box = max(faces, key=lambda one: one.box.area).box
    if box.width > crop.width or box.height > crop.height:
        return
    assert crop.x <= box.x + 1 and crop.x + crop.width >= box.x + box.width - 1
    assert crop.y <= box.y + 1 and crop.y + crop.height >= box.y + box.height - 1


def test_a_portrait_cut_to_landscape_keeps_head_and_hair() -> None:
    crop = crop_for(900, 1600, 16 / 9, [face(350, 250, 200)])
    assert crop.y <= 250 - 100
    assert crop.y + crop.height >= 450


def test_both_faces_are_kept_if_they_fit() -> None:
    crop = crop_for(2000, 1000, 1.0, [face(700, 300, 150), face(1200, 320, 140)])
    assert crop.x <= 700 and crop.x + crop.width >= 1340


def test_the_largest_of_faces_too_far_apart_is_kept() -> None:
    crop = crop_for(2000, 500, 1.0, [face(50, 200, 100), face(1700, 150, 160)])
    assert crop.x <= 1700 and crop.x + crop.width >= 1860


@pytest.mark.parametrize("aspect", [1.0, 16 / 9])
def test_without_a_face_the_upper_middle_is_kept(aspect: float) -> None:
    crop = crop_for(600, 1200, aspect, [])
    assert crop.x == 0
    assert 0 < crop.y < (1200 - crop.height) / 2
