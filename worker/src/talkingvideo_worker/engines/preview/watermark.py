"""Overlays: the watermark "preview" on every frame, and a level meter that follows the sound where no face was found."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from talkingvideo_worker.faces.types import Picture

TEXT = "preview"
TEXT_HEIGHT = 0.034
"""As a fraction of the picture's shorter side."""


class Watermark:
    """The word in the lower right corner: white on a dark pill, so that it is readable on any picture.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
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
        alpha = pixels[..., 3:] / 255
        margin = min(round(0.6 * size), width - pill_width, height - pill_height)
        bottom_edge, right_edge = height - margin, width - margin
        self._slices = (slice(bottom_edge - pill_height, bottom_edge), slice(right_edge - pill_width, right_edge))
        self._colour, self._keep = pixels[..., :3] * alpha + 0.5, 1 - alpha

    def draw(self, canvas: Picture) -> None:
        """Draw the watermark on a picture, in place."""
        under = canvas[self._slices]
        canvas[self._slices] = np.clip(under * self._keep + self._colour, 0, 255).astype(np.uint8)


class LevelMeter:
    """Bars at the bottom of the picture, one for each band of the sound.

    Args:
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        bands: Number of bars.
    """

    def __init__(self, width: int, height: int, bands: int) -> None:
        unit = max(3, round(0.014 * min(width, height)))
        self._thickness, self._step = unit, 2 * unit
        self._left = width // 2 - (bands - 1) * self._step // 2
        self._middle, self._reach = round(0.9 * height), 0.055 * min(width, height)

    def draw(self, canvas: Picture, levels: NDArray[np.floating]) -> None:
        """Draw the bars.

        Args:
            canvas: Changed.
            levels: (bands,), 0..1.
        """
        overlay_top = int(self._middle - self._reach - 2 * self._step)
        strip = canvas[overlay_top:]
        overlay = strip.copy()
        for number, level in enumerate(levels):
            x, half = self._left + number * self._step, round(float(level) * self._reach)
            middle = self._middle - overlay_top
            for colour, grow in (((0, 0, 0), 2), ((255, 255, 255), 0)):
                cv2.line(overlay, (x, middle - half), (x, middle + half), colour, self._thickness + grow, cv2.LINE_AA)
        cv2.addWeighted(overlay, 0.8, strip, 0.2, 0, dst=strip)
