"""What is drawn over every picture: the word "preview", and bars that follow the sound where there is no face."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from talkingvideo_worker.faces.types import Picture

TEXT = "preview"
TEXT_HEIGHT = 0.034
"""Of the shorter side of the picture."""


class Mark:
    """The word in the lower right corner: white on a dark pill, so that it can be read on any picture.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
    """

    def __init__(self, width: int, height: int) -> None:
        size = max(11.0, TEXT_HEIGHT * min(width, height))
        font = ImageFont.load_default(size)
        left, top, right, bottom = font.getbbox(TEXT)
        pad_x, pad_y = round(0.55 * size), round(0.32 * size)
        pill_width = min(width, round(right - left) + 2 * pad_x)
        pill_height = min(height, round(bottom - top) + 2 * pad_y)
        image = Image.new("RGBA", (pill_width, pill_height), (0, 0, 0, 0))
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((0, 0, pill_width - 1, pill_height - 1), pill_height // 2, fill=(0, 0, 0, 110))
        draw.text((pad_x - left, pad_y - top), TEXT, font=font, fill=(255, 255, 255, 225))
        pixels = np.asarray(image, np.float32)
        cover = pixels[..., 3:] / 255
        margin = min(round(0.6 * size), width - pill_width, height - pill_height)
        bottom_edge, right_edge = height - margin, width - margin
        self._slices = (slice(bottom_edge - pill_height, bottom_edge), slice(right_edge - pill_width, right_edge))
        self._colour, self._keep = pixels[..., :3] * cover + 0.5, 1 - cover

    def draw(self, canvas: Picture) -> None:
        """Put the word on a picture."""
        under = canvas[self._slices]
        canvas[self._slices] = np.clip(under * self._keep + self._colour, 0, 255).astype(np.uint8)


class Bars:
    """An equaliser at the foot of the picture.

    Args:
        width: Of the picture, pixels.
        height: Of the picture, pixels.
        count: Bands.
    """

    def __init__(self, width: int, height: int, count: int) -> None:
        unit = max(3, round(0.014 * min(width, height)))
        self._thickness, self._step = unit, 2 * unit
        self._left = width // 2 - (count - 1) * self._step // 2
        self._middle, self._reach = round(0.9 * height), 0.055 * min(width, height)

    def draw(self, canvas: Picture, heights: NDArray[np.floating]) -> None:
        """Draw the bars.

        Args:
            canvas: Changed.
            heights: (count,), 0..1.
        """
        overlay_top = int(self._middle - self._reach - 2 * self._step)
        band = canvas[overlay_top:]
        overlay = band.copy()
        for number, height in enumerate(heights):
            x, half = self._left + number * self._step, round(float(height) * self._reach)
            middle = self._middle - overlay_top
            for colour, grow in (((0, 0, 0), 2), ((255, 255, 255), 0)):
                cv2.line(overlay, (x, middle - half), (x, middle + half), colour, self._thickness + grow, cv2.LINE_AA)
        cv2.addWeighted(overlay, 0.8, band, 0.2, 0, dst=band)
