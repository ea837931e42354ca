"""Mouth shapes of each frame, from phonemes where the text is known, otherwise from the sound alone.

Without phonemes, the opening follows the loudness of the voice relative to its neighbourhood, so that syllables show in
loud and in quiet speech. The kind of opening follows the balance of the bands: open vowels have a high first formant, front
vowels a high second one, back vowels a low one, and fricatives hiss. A short gap between loud frames is a stop or a nasal:
the lips meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview import visemes
from talkingvideo_worker.engines.preview.audio import (
    BACK,
    FRONT,
    HISS,
    OPEN,
    VOICE,
    Series,
    percentile,
    smooth,
    sum_levels,
)
from talkingvideo_worker.engines.preview.visemes import JAW, PRESS, MouthShape, MouthShapes

ANTICIPATION = 0.02
"""Seconds by which lips are ahead of the sound they make."""


def shapes_from_audio(levels: NDArray[np.floating], loud: Series) -> MouthShapes:
    """Estimate mouth shapes from the balance of the bands.

    Args:
        levels: (frames, bands), from ``band_levels``.
        loud: (frames,), from ``loudness``.
    """
    voiced = loud > 0.45
    openness = _standardized(levels[:, OPEN] - levels[:, VOICE], voiced)
    fronting = _standardized(levels[:, FRONT] - sum_levels(levels[:, [OPEN, BACK]]), voiced)
    hiss = _sigmoid((levels[:, HISS] - sum_levels(levels[:, [OPEN, BACK, FRONT]]) + 1.0) / 3) * (loud > 0.05)

    front = np.clip(fronting, 0, 1.2) / 1.2
    back = np.clip(-fronting, 0, 1.2) / 1.2
    wide_open = np.clip(0.5 + 0.5 * openness, 0, 1)
    weights = {
        visemes.AH: wide_open * (1 - 0.6 * front) * (1 - 0.8 * back),
        visemes.UH: (1 - wide_open) * (1 - front) * (1 - back),
        visemes.OH: wide_open * back,
        visemes.OO: (1 - wide_open) * back,
        visemes.EH: wide_open * front,
        visemes.EE: (1 - wide_open) * front,
    }
    vowels = sum(weight[:, np.newaxis] * shape.row() for shape, weight in weights.items())
    vowels = np.asarray(vowels, np.float32) / sum(weights.values())[:, np.newaxis]

    syllable = _with_contrast(np.clip((loud - 0.3) / 0.7, 0, 1))
    result = vowels * syllable[:, np.newaxis] ** np.float32(0.6)
    result[:, JAW] = vowels[:, JAW] * (0.2 + 0.9 * syllable) * (syllable > 0) * np.clip(3 * syllable, 0, 1)
    result = _blended(result, visemes.SIBILANT, hiss * np.clip(1 - 0.5 * back, 0, 1))
    result = _blended(result, visemes.BILABIAL, _short_dips(loud))
    return _softened(result)


def shapes_from_phonemes(timeline: Sequence[tuple[float, MouthShape, float]], loud: Series, rate: float) -> MouthShapes:
    """Sample visemes at every frame. Neighbours blend; dominant ones (lips that must meet) prevail.

    Args:
        timeline: Start in seconds, shape and dominance, from ``viseme_timeline``.
        loud: (frames,), which the opening of the jaw follows.
        rate: Frames per second.
    """
    oversampling = 4
    ticks = (np.arange(len(loud) * oversampling) + 0.5) / (rate * oversampling) + ANTICIPATION
    starts = np.array([start for start, _, _ in timeline])
    current = np.searchsorted(starts, ticks, side="right") - 1
    table = np.stack([shape.row() for _, shape, _ in timeline] + [visemes.REST.row()])
    dominance = np.array([weight for _, _, weight in timeline] + [1.0], np.float32)
    weights = dominance[current]  # -1, before the first phoneme, indexes the rest shape at the end of the table
    kernel = np.hanning(2 * oversampling + 3).astype(np.float32)
    total = _spread(weights, kernel)
    columns = [_spread(table[current, column] * weights, kernel) / total for column in range(table.shape[1])]
    result = np.stack(columns, axis=1).reshape(len(loud), oversampling, -1).mean(axis=1).astype(np.float32)
    result[:, JAW] *= 0.3 + 0.85 * _with_contrast(np.clip((loud - 0.2) / 0.8, 0, 1))
    return np.asarray(result * np.clip(loud / 0.25, 0, 1)[:, np.newaxis], np.float32)


def _spread(values: Series, kernel: Series) -> Series:
    """Convolve, and keep the length also where the kernel is longer than the values, as numpy's mode ``same`` does not."""
    return np.convolve(values, kernel)[len(kernel) // 2 :][: len(values)]


def _softened(rows: MouthShapes) -> MouthShapes:
    """Soften steps between frames; least for the jaw, which carries the timing."""
    result = np.empty_like(rows)
    for column in range(rows.shape[1]):
        kernel = np.array([1, 6, 1], np.float32) if column in (JAW, PRESS) else np.array([1, 3, 4, 3, 1], np.float32)
        result[:, column] = smooth(rows[:, column], kernel / kernel.sum())
    return result


def _with_contrast(series: Series) -> Series:
    """Deepen the dips between syllables."""
    average = smooth(series, np.full(13, 1 / 13, np.float32))
    return np.clip(series + 0.7 * (series - average), 0, 1).astype(np.float32)


def _short_dips(loud: Series) -> Series:
    """1 where the sound drops for at most three frames between louder ones, otherwise 0, with soft steps."""
    reach = 3
    padded = np.pad(loud, reach, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, reach + 1)
    before, after = views[: len(loud)].max(axis=1), views[reach:].max(axis=1)
    return np.asarray(np.clip((np.minimum(before, after) - loud - 0.18) / 0.2, 0, 1), np.float32)


def _blended(rows: MouthShapes, shape: MouthShape, weight: Series) -> MouthShapes:
    weight = weight[:, np.newaxis]
    return (rows * (1 - weight) + shape.row() * weight).astype(np.float32)


def _standardized(values: Series, selected: NDArray[np.bool_]) -> Series:
    """Centre on the median of the selected frames, and scale each side by its own spread: -2..2."""
    usual = values[selected] if selected.any() else values
    low, middle, high = (percentile(usual, percent) for percent in (15, 50, 85))
    spread = np.where(values > middle, max(high - middle, 3.0), max(middle - low, 3.0))
    return np.asarray(np.clip((values - middle) / spread, -2, 2), np.float32)


def _sigmoid(values: Series) -> Series:
    return (1 / (1 + np.exp(-values))).astype(np.float32)
