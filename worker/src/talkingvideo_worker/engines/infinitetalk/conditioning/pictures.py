"""Pictures and masks at the rendered size, and what the image encoder looks at."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from talkingvideo_worker.units import Frame

CLIP_SIZE = 224
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATION = (0.26862954, 0.26130258, 0.27577711)

LATENT_SCALE = 8
"""Pixels per latent, in each direction."""

INSET = 0.05
"""Share of a half that stays free at each side when nobody says where the two speakers are."""

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""First row, first column, row and column behind the last, in pixels."""


def covering(picture: Frame, height: int, width: int) -> Frame:
    """A picture scaled to cover a size (bilinear, antialiased), and the middle cut out."""
    scaled, cut = _cover(picture.shape[0], picture.shape[1], height, width)
    resized = Image.fromarray(picture).resize((scaled[1], scaled[0]), Image.Resampling.BILINEAR)
    return np.asarray(resized)[cut]


def covering_masks(masks: Mask, height: int, width: int) -> Mask:
    """Masks (classes, rows, columns) scaled and cut as ``covering`` does with the picture, by nearest neighbours."""
    scaled, cut = _cover(masks.shape[1], masks.shape[2], height, width)
    resized = F.interpolate(torch.from_numpy(masks)[None].float(), size=scaled, mode="nearest")[0] > 0
    return resized.numpy()[:, *cut]


def to_tensor(picture: Frame) -> Tensor:
    """(height, width, 3) in 0..255 to (3, height, width) in -1..1."""
    return torch.from_numpy(np.ascontiguousarray(picture.transpose(2, 0, 1))).float() / 255 * 2 - 1


def clip_pixels(image: Tensor) -> Tensor:
    """What CLIP's image encoder is given: squeezed into a square, neither cut nor antialiased.

    Args:
        image: (3, height, width) in -1..1.

    Returns:
        (3, 224, 224), normalised.
    """
    square = F.interpolate(image[None], size=(CLIP_SIZE, CLIP_SIZE), mode="bicubic", align_corners=False)[0]
    mean = image.new_tensor(CLIP_MEAN)[:, None, None]
    deviation = image.new_tensor(CLIP_DEVIATION)[:, None, None]
    return (square * 0.5 + 0.5 - mean) / deviation


def halves(height: int, width: int) -> tuple[Box, Box]:
    """Left and right half, each with a margin: where two speakers are unless somebody says otherwise."""
    half = width // 2
    rows = int(INSET * height), int((1 - INSET) * height)
    columns = int(INSET * half), int((1 - INSET) * half)
    return (rows[0], columns[0], rows[1], columns[1]), (rows[0], columns[0] + half, rows[1], columns[1] + half)


def box_mask(box: Box, height: int, width: int) -> Mask:
    """A box of a picture as a mask: (height, width)."""
    top, left, bottom, right = box
    mask = np.zeros((height, width), np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def with_background(first: Mask, second: Mask) -> Mask:
    """Masks of two speakers, (height, width) each, and of what no speaker has: (3, height, width)."""
    return np.stack((first, second, ~(first | second)))


def speaker_masks(boxes: tuple[Box, Box], height: int, width: int) -> Mask:
    """Masks of two speakers and of the background: (3, height, width).

    Args:
        boxes: Of the speakers.
        height: Of the picture that the boxes are measured in.
        width: Likewise.
    """
    first, second = (box_mask(box, height, width) for box in boxes)
    return with_background(first, second)


def latent_masks(masks: Mask) -> Tensor:
    """Masks at the size of the latents, by nearest neighbours.

    Args:
        masks: (classes, height, width).

    Returns:
        (classes, height / 8, width / 8), float32, 0 or 1.
    """
    height, width = masks.shape[1] // LATENT_SCALE, masks.shape[2] // LATENT_SCALE
    return F.interpolate(torch.from_numpy(masks)[None].float(), size=(height, width), mode="nearest")[0]


def _cover(rows: int, columns: int, height: int, width: int) -> tuple[tuple[int, int], tuple[slice, slice]]:
    """Size (height, width) that something is scaled to, and the part that is cut out of that."""
    scale = max(height / rows, width / columns)
    scaled = math.ceil(scale * rows), math.ceil(scale * columns)
    top, left = round((scaled[0] - height) / 2), round((scaled[1] - width) / 2)
    return scaled, (slice(top, top + height), slice(left, left + width))
