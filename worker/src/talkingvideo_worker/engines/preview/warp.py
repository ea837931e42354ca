"""Resampling of pictures: one place for OpenCV's conventions."""

from __future__ import annotations

from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.faces.types import Picture

LINEAR, CUBIC = cv2.INTER_LINEAR, cv2.INTER_CUBIC


def sample(picture: Picture, x: NDArray[np.floating], y: NDArray[np.floating], method: int = LINEAR) -> Picture:
    """Read a picture at other places; its border runs on outside.

    Args:
        picture: (height, width, 3).
        x: Of each pixel wanted, in pixels: (h, w).
        y: Likewise.
        method: LINEAR, or CUBIC, which is sharper and takes twice as long.

    Returns:
        (h, w, 3).
    """
    places = np.asarray(x, np.float32), np.asarray(y, np.float32)
    return cast(Picture, cv2.remap(picture, *places, method, borderMode=cv2.BORDER_REPLICATE))
