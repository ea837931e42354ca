"""From the rendered frame size to the delivered one: scaled, then cropped or padded."""

from __future__ import annotations

from math import ceil

import cv2
import numpy as np

from talkingvideo_api.spec import Fit
from talkingvideo_worker.units import Frame


def cropped_margins(rendered: tuple[int, int], delivered: tuple[int, int], fit: Fit) -> tuple[int, int]:
    """Margins of a rendered frame that are cropped off: pixels (left and right each, top and bottom each).

    Args:
        rendered: (width, height).
        delivered: (width, height).
        fit: Pad crops nothing.
    """
    if fit is Fit.PAD:
        return 0, 0
    scale = max(delivered[0] / rendered[0], delivered[1] / rendered[1])
    across, down = (ceil((whole - part / scale) / 2) for whole, part in zip(rendered, delivered, strict=True))
    return max(0, across), max(0, down)


class FrameScaler:
    """Scales frames from one size to another.

    Args:
        rendered: (width, height) of the input.
        delivered: (width, height) of the output.
        fit: Crop fills the delivered size and crops the excess; Pad shows the whole frame on black.
    """

    def __init__(self, rendered: tuple[int, int], delivered: tuple[int, int], fit: Fit) -> None:
        self._unchanged = rendered == delivered
        self._delivered = delivered
        scales = (delivered[0] / rendered[0], delivered[1] / rendered[1])
        scale = max(scales) if fit is Fit.CROP else min(scales)
        self._scaled = (round(rendered[0] * scale), round(rendered[1] * scale))
        self._interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LANCZOS4

    def __call__(self, frame: Frame) -> Frame:
        """Scale a frame, (height, width, 3) RGB, to the delivered size."""
        if self._unchanged:
            return frame
        width, height = self._scaled
        if (frame.shape[1], frame.shape[0]) != (width, height):
            frame = cv2.resize(frame, (width, height), interpolation=self._interpolation).astype(np.uint8)
        left, top = max(0, width - self._delivered[0]) // 2, max(0, height - self._delivered[1]) // 2
        cut = frame[top : top + self._delivered[1], left : left + self._delivered[0]]
        if cut.shape[:2] == (self._delivered[1], self._delivered[0]):
            return np.ascontiguousarray(cut)
        padded = np.zeros((self._delivered[1], self._delivered[0], 3), np.uint8)
        y, x = (padded.shape[0] - cut.shape[0]) // 2, (padded.shape[1] - cut.shape[1]) // 2
        padded[y : y + cut.shape[0], x : x + cut.shape[1]] = cut
        return padded
