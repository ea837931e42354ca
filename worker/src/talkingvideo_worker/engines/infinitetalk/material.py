"""From a scene, and what prepare heard in it, to what the loop renders from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
from torch import Tensor

from talkingvideo_worker.engines.base import Portrait, RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import Features
from talkingvideo_worker.engines.infinitetalk.conditioning.pictures import (
    Box,
    Mask,
    box_mask,
    halves,
    latent_masks,
    to_tensor,
    with_background,
)
from talkingvideo_worker.engines.infinitetalk.model.routing import token_masks
from talkingvideo_worker.engines.pictures import load_mask, portrait_frames

PATCH = 2
"""Latents along each side of a token: 16 pixels."""


def reference_of(portrait: Portrait) -> Callable[[int], Tensor]:
    """The picture under a frame; one that stays is always the same tensor."""

    @cache
    def still() -> Tensor:
        return to_tensor(next(portrait_frames(portrait, 0)))

    def moving(frame: int) -> Tensor:
        return to_tensor(next(portrait_frames(portrait, frame)))

    return moving if portrait.is_video else lambda _frame: still()


def regions_of(render_input: RenderInput) -> Tensor | None:
    """Masks of two speakers, at the latents' size."""
    if len(render_input.tracks) == 1:
        return None
    height, width = render_input.portrait.height, render_input.portrait.width
    first, second = (
        _place(track, usual, height, width)
        for track, usual in zip(render_input.tracks, halves(height, width), strict=True)
    )
    return latent_masks(with_background(first, second))


def _place(track: Track, usual: Box, height: int, width: int) -> Mask:
    """Where a speaker is: (height, width)."""
    if track.mask is not None:
        return load_mask(track.mask)
    if track.region is None:
        return box_mask(usual, height, width)
    x, y, columns, rows = track.region
    box = round(y * height), round(x * width), round((y + rows) * height), round((x + columns) * width)
    return box_mask(box, height, width)


def speakers_without_place(render_input: RenderInput) -> list[str]:
    """Sentences about speakers whose region or mask covers no token of the model: they would not be heard."""
    regions = regions_of(render_input)
    if regions is None:
        return []
    covered = token_masks(regions, regions.shape[1] // PATCH, regions.shape[2] // PATCH).any(1)
    return [
        f"spec.speech.speakers[{index}]: its region or mask is smaller than the model sees (16 pixels of "
        f"{render_input.portrait.width}x{render_input.portrait.height}): nobody will speak with this voice. Give it more room."
        for index in range(len(render_input.tracks))
        if not covered[index]
    ]


def _features_file(track: int) -> str:
    return f"features-{track}.npy"


def write_features(folder: Path, track: int, spans: Iterator[Tensor], frames: int) -> None:
    """Write features as they come, in half precision, which is finer than what the model calculates in."""
    first = next(spans)
    out = np.lib.format.open_memmap(folder / _features_file(track), "w+", np.float16, (frames, *first.shape[1:]))
    out[: len(first)], written = first.numpy(), len(first)
    for span in spans:
        out[written : written + len(span)] = span.numpy()
        written += len(span)
    out.flush()


def read_features(render_input: RenderInput, folder: Path) -> tuple[Features, ...]:
    """What each track was heard as, mapped from its file: (frames, layers, channels)."""
    return tuple(np.load(folder / _features_file(index), mmap_mode="r") for index in range(len(render_input.tracks)))
