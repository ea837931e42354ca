"""From the rendered frame to the delivered one."""

from __future__ import annotations

import numpy as np

from talkingvideo_api.spec import Fit
from talkingvideo_worker.delivery import Delivery


def gradient(width: int, height: int) -> np.ndarray:
    across = np.linspace(40, 220, width)[None, :, None]
    return np.broadcast_to(across, (height, width, 3)).astype(np.uint8).copy()


def test_a_frame_of_the_right_size_is_passed_on_as_it_is() -> None:
    frame = gradient(640, 640)
    assert Delivery((640, 640), (640, 640), Fit.CROP)(frame) is frame


def test_crop_fills_the_frame_and_keeps_the_middle() -> None:
    made = Delivery((896, 448), (796, 448), Fit.CROP)(gradient(896, 448))
    assert made.shape == (448, 796, 3)
    assert abs(int(made[0, 398, 0]) - 130) <= 1
    assert made.min() > 40


def test_pad_shows_all_on_black() -> None:
    made = Delivery((640, 640), (1280, 720), Fit.PAD)(gradient(640, 640))
    assert made.shape == (720, 1280, 3)
    assert not made[:, :279].any()
    assert not made[:, -279:].any()
    assert made[360, 285, 0] < 50 < 210 < made[360, 994, 0]
