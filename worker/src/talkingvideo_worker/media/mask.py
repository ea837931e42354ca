"""Where in a picture somebody is, drawn by hand or by a program: white there, black or transparent elsewhere."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.files import whole_file
from talkingvideo_worker.media.picture import read_picture

Mask = NDArray[np.bool_]
"""(height, width): True where somebody is."""

Part = tuple[float, float, float, float]
"""Left, top, right and bottom edge as fractions of a picture."""

NOWHERE = (0, 0, 0)
"""Behind what is transparent: black."""

MIDDLE = 128
"""From this level on a pixel is white: soft edges are cut in the middle."""


def read_mask(path: Path, limits: InputLimits, field: str) -> Mask:
    """Read a PNG, JPEG or WebP as a mask.

    Args:
        path: Content from anywhere.
        limits: ``pixels`` is enforced.
        field: The field that named the file, for errors.

    Returns:
        (height, width), upright.

    Raises:
        StageError: E_INPUT_VALIDATION with the reason.
    """
    picture = read_picture(path, limits, field, background=NOWHERE)
    return np.asarray(Image.fromarray(picture.rgb).convert("L")) >= MIDDLE


def fit_mask(mask: Mask, part: Part, width: int, height: int) -> Mask:
    """Cut a part out of a mask and scale it by nearest neighbours.

    Args:
        mask: (h, w).
        part: What to keep.
        width: Pixels of the result.
        height: Pixels of the result.

    Returns:
        (height, width).
    """
    rows, columns = mask.shape
    box = (part[0] * columns, part[1] * rows, part[2] * columns, part[3] * rows)
    levels = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(levels.resize((width, height), Image.Resampling.NEAREST, box)) > 0


def write_mask(mask: Mask, path: Path) -> None:
    """Write a mask as a grey PNG; it appears whole or not at all."""
    with whole_file(path) as unfinished:
        Image.fromarray(mask.astype(np.uint8) * 255).save(unfinished, "PNG")
