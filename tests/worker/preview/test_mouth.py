"""How a mouth is drawn: measured with the face mesh on what was drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from talkingvideo_worker.engines.preview import visemes
from talkingvideo_worker.engines.preview.head import Eye, Head
from talkingvideo_worker.engines.preview.mouth import Mouth
from talkingvideo_worker.faces import Picture, Points, detect, landmarks

SKIN = np.array([215, 180, 160], np.float32)


def points_of(picture: Picture) -> Points:
    return landmarks(picture, detect(picture)[0]).points


def draw(picture: Picture, shape: visemes.MouthShape) -> Picture:
    canvas = picture.copy()
    Mouth(picture, points_of(picture), SKIN).draw(canvas, shape.row())
    return canvas


def distance(points: Points, one: int, other: int) -> float:
    return float(np.hypot(*(points[one] - points[other])))


def opening(picture: Picture) -> float:
    points = points_of(picture)
    return distance(points, 13, 14) / distance(points, 33, 263)


def breadth(picture: Picture) -> float:
    points = points_of(picture)
    return distance(points, 61, 291) / distance(points, 33, 263)


@pytest.fixture(scope="module")
def closed(portrait: Picture) -> Picture:
    """A face with its lips closed."""
    return draw(portrait, visemes.REST)


def test_a_smile_with_teeth_can_be_closed(portrait: Picture, closed: Picture) -> None:
    assert opening(closed) < 0.6 * opening(portrait)


@pytest.mark.parametrize("start", ["portrait", "closed"])
def test_the_mouth_opens_as_far_as_the_shape_says(start: str, request: pytest.FixtureRequest) -> None:
    picture: Picture = request.getfixturevalue(start)
    openings = [opening(draw(picture, visemes.MouthShape(jaw=jaw, lift=0.03))) for jaw in (0.0, 0.1, 0.2, 0.3)]
    assert openings == sorted(openings)
    assert openings[3] > openings[0] + 0.08


def test_puckered_lips_are_narrower_than_spread_ones(closed: Picture) -> None:
    assert breadth(draw(closed, visemes.OO)) < 0.9 * breadth(draw(closed, visemes.EE))


def test_closed_lips_show_nothing_dark_between(closed: Picture) -> None:
    """No ragged corners: drawn once more at rest, a closed mouth stays as it was."""
    again = draw(closed, visemes.REST)
    assert np.abs(again.astype(int) - closed).mean() < 1.0
    mouth = cv2.boundingRect(points_of(closed)[[61, 291, 0, 17]])
    x, y, width, height = mouth
    before, after = (one[y : y + height, x : x + width].min() for one in (closed, again))
    assert int(after) > int(before) - 30


def test_an_open_mouth_of_a_closed_picture_shows_teeth_and_dark(closed: Picture) -> None:
    spoken = draw(closed, visemes.AH)
    points = points_of(spoken)
    top, bottom = points[13], points[14]
    column = [spoken[round(y), round(top[0])].mean() for y in np.linspace(top[1] + 1, bottom[1] - 1, 12)]
    assert max(column[:6]) > 120
    assert min(column[6:]) < 90


def test_nothing_tears(closed: Picture) -> None:
    """Between neighbouring shapes no pixel outside the mouth jumps."""
    small, large = (draw(closed, visemes.MouthShape(jaw=jaw, lift=0.03)) for jaw in (0.150, 0.155))
    assert np.abs(small.astype(int) - large).max(axis=2).mean() < 1.0


def test_what_is_far_from_the_mouth_stays(portrait: Picture) -> None:
    spoken = draw(portrait, visemes.AH)
    points = points_of(portrait)
    nose = int(points[2, 1] - 0.4 * distance(points, 61, 291))
    assert np.array_equal(spoken[:nose], portrait[:nose])


def test_the_picture_is_not_cut_where_the_motion_ends(portrait: Picture) -> None:
    """Beyond the moving region nothing changes, so at its border nothing may have moved either."""
    points = points_of(portrait)
    for shape in (visemes.AH, visemes.OO, visemes.EE):
        canvas = portrait.copy()
        mouth = Mouth(portrait, points, SKIN)
        mouth.draw(canvas, shape.row())
        rows, columns = mouth.region.slices
        change = np.abs(canvas.astype(int) - portrait).max(axis=2)[rows, columns]
        for border in (change[0], change[:, 0], change[:, -1]):
            assert border.max() <= 12
        assert change[len(change) // 3 : len(change) // 2].max() > 40


def test_a_grey_picture_gets_a_grey_mouth(closed: Picture) -> None:
    grey = np.asarray(np.dstack([cv2.cvtColor(closed, cv2.COLOR_RGB2GRAY)] * 3), np.uint8)
    canvas = grey.copy()
    Mouth(grey, points_of(closed), np.full(3, 170, np.float32)).draw(canvas, visemes.AH.row())
    assert np.ptp(canvas.astype(int), axis=2).max() <= 2


def test_a_mouth_at_the_border_is_drawn_as_far_as_it_shows(portrait: Picture) -> None:
    points = points_of(portrait)
    for offset in ([150.0, 0.0], [0.0, 140.0], [-400.0, 0.0], [0.0, -900.0]):
        canvas = portrait.copy()
        Mouth(portrait, points + np.array(offset, np.float32), SKIN).draw(canvas, visemes.AH.row())


def test_a_blink_closes_the_eyes(portrait: Picture) -> None:
    points = points_of(portrait)
    canvas = portrait.copy()
    for side in (0, 1):
        Eye(points, side, portrait.shape).draw(canvas, portrait, 1.0)
    eyes = [(159, 145), (386, 374)]
    blinked = points_of(canvas)
    for upper, lower in eyes:
        assert distance(blinked, upper, lower) < 0.7 * distance(points, upper, lower)


def test_open_eyes_stay(portrait: Picture) -> None:
    canvas = portrait.copy()
    Eye(points_of(portrait), 0, portrait.shape).draw(canvas, portrait, 0.0)
    assert np.array_equal(canvas, portrait)


def test_a_head_moves_and_the_corners_stay(portrait: Picture) -> None:
    small = np.full((400, 500, 3), 128, np.uint8)
    small[60:380, 90:410] = portrait
    points = points_of(small)
    canvas = small.copy()
    Head(points, small.shape).move(canvas, np.array([6.0, 0.0, 0.0], np.float32))
    moved = points_of(canvas)[1] - points[1]
    assert moved[0] == pytest.approx(6 * distance(points, 33, 263) / 100, abs=1.5)
    assert np.array_equal(canvas[:20, :20], small[:20, :20])
