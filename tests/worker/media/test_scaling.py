"""From the rendered frame to the delivered one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkingvideo_api.spec import Fit
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.media.scaling import FrameScaler, cropped_margins


def gradient(width: int, height: int) -> np.ndarray:
    across = np.linspace(40, 220, width)[None, :, None]
    return np.broadcast_to(across, (height, width, 3)).astype(np.uint8).copy()


def test_a_frame_of_the_right_size_is_returned_unchanged() -> None:
    frame = gradient(640, 640)
    assert FrameScaler((640, 640), (640, 640), Fit.CROP)(frame) is frame


def test_crop_fills_the_frame_and_keeps_the_middle() -> None:
    made = FrameScaler((896, 448), (796, 448), Fit.CROP)(gradient(896, 448))
    assert made.shape == (448, 796, 3)
    assert abs(int(made[0, 398, 0]) - 130) <= 1
    assert made.min() > 40


def test_pad_shows_the_whole_frame_on_black() -> None:
    made = FrameScaler((640, 640), (1280, 720), Fit.PAD)(gradient(640, 640))
    assert made.shape == (720, 1280, 3)
    assert not made[:, :279].any()
    assert not made[:, -279:].any()
    assert made[360, 285, 0] < 50 < 210 < made[360, 994, 0]


@pytest.mark.parametrize(
    ("rendered", "delivered", "fit", "cut"),
    [
        ((896, 448), (796, 448), Fit.CROP, (50, 0)),
        ((448, 832), (448, 796), Fit.CROP, (0, 18)),
        ((896, 448), (1280, 720), Fit.CROP, (50, 0)),
        ((640, 640), (1280, 720), Fit.PAD, (0, 0)),
        ((640, 640), (640, 640), Fit.CROP, (0, 0)),
    ],
)
def test_cropped_margins_are_known_in_advance(
    rendered: tuple[int, int], delivered: tuple[int, int], fit: Fit, cut: tuple[int, int]
) -> None:
    assert cropped_margins(rendered, delivered, fit) == cut
    marked = np.zeros((rendered[1], rendered[0], 3), np.uint8)
    rows, columns = Portrait(Path(), False, *rendered, cut).shown
    marked[rows, columns] = 255
    made = FrameScaler(rendered, delivered, fit)(marked)
    lit = made.min(axis=2) > 200
    assert lit.mean() >= min(1.0, rendered[0] * delivered[1] / (rendered[1] * delivered[0])) * 0.99
