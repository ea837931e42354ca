"""Where two speakers are in the picture: from regions and painted masks of the spec to masks at the latents' size."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor

from talkingvideo_worker.engines.base import RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.transformer import token_masks
from talkingvideo_worker.engines.pictures import load_mask

Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
"""First row, first column, row and column after the last, in pixels."""

LATENT_SCALE = 8
"""Pixels per latent, in each direction."""

PATCH = 2
"""Latents along each side of a token: 16 pixels."""

INSET = 0.05
"""Fraction of a half that stays free at each side when the spec does not say where the speakers are."""


def regions_of(render_input: RenderInput) -> Tensor | None:
    """Masks of two speakers and of the background, (3, height / 8, width / 8); None for one speaker."""
    if len(render_input.tracks) == 1:
        return None
    height, width = render_input.portrait.height, render_input.portrait.width
    first, second = (
        _mask(track, default, height, width)
        for track, default in zip(render_input.tracks, halves(height, width), strict=True)
    )
    return latent_masks(with_background(first, second))


def _mask(track: Track, default: Box, height: int, width: int) -> Mask:
    """A speaker's mask: (height, width)."""
    if track.mask is not None:
        return load_mask(track.mask)
    if track.region is None:
        return box_mask(default, height, width)
    x, y, columns, rows = track.region
    box = round(y * height), round(x * width), round((y + rows) * height), round((x + columns) * width)
    return box_mask(box, height, width)


def regions_without_tokens(render_input: RenderInput) -> list[str]:
    """Warnings about speakers whose region or mask covers no token of the model: they would not be seen to speak."""
    regions = regions_of(render_input)
    if regions is None:
        return []
    covered = token_masks(regions, regions.shape[1] // PATCH, regions.shape[2] // PATCH).any(1)
    return [
        f"spec.speech.speakers[{index}]: its region or mask is smaller than one token of the model (16 pixels of "
        f"{render_input.portrait.width}x{render_input.portrait.height}): no face will speak with this voice. Make it larger."
        for index in range(len(render_input.tracks))
        if not covered[index]
    ]


def halves(height: int, width: int) -> tuple[Box, Box]:
    """Left and right half, each with a margin: where two speakers are unless the spec says otherwise."""
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
    """Masks of two speakers, (height, width) each, and of the background: (3, height, width)."""
    return np.stack((first, second, ~(first | second)))


def latent_masks(masks: Mask) -> Tensor:
    """Masks at the size of the latents, by nearest neighbours.

    Args:
        masks: (classes, height, width).

    Returns:
        (classes, height / 8, width / 8), float32, 0 or 1.
    """
    height, width = masks.shape[1] // LATENT_SCALE, masks.shape[2] // LATENT_SCALE
    return F.interpolate(torch.from_numpy(masks)[None].float(), size=(height, width), mode="nearest")[0]
