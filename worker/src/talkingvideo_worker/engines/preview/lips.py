"""From what is heard to mouth shapes.

Opening follows the loudness of the voice against its surroundings, so that syllables show in loud and in quiet speech; the
kind of opening follows the balance of the bands: open vowels have a high first formant, front vowels a high second
one, back vowels a low one, fricatives hiss. A short gap between loud frames is a stop or a nasal: lips meet.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.engines.preview import shapes
from talkingvideo_worker.engines.preview.hearing import BACK, FRONT, HISS, OPEN, VOICE
from talkingvideo_worker.engines.preview.shapes import JAW, PRESS, Shape, Shapes

QUIETEST = -62.0
"""Decibels: a track whose loudest moments stay below this is silent."""

DYNAMICS = 36.0
"""Decibels between closed lips and the loudest syllables."""

SURROUNDINGS = 75
"""Frames on each side against which a frame is loud or not: 3 s."""

LEAD = 0.02
"""Seconds by which lips are ahead of the sound they make."""

Series = NDArray[np.floating]
"""(frames,)"""


def loudness(levels: NDArray[np.floating]) -> Series:
    """How loud the voice is: 0 silence … 1 the loudest syllables around.

    Args:
        levels: (frames, bands), from ``band_levels``.
    """
    voice = _decibels(levels[:, [VOICE, OPEN, BACK, FRONT]])
    top = _percentile(voice, 97)
    if top < QUIETEST:
        return np.zeros(len(voice), np.float32)
    floor = max(_percentile(voice, 4), top - 50.0)
    local = np.clip(_smooth(_highest(voice, SURROUNDINGS), SURROUNDINGS), top - 12.0, top + 3.0)
    bottom = np.maximum(local - DYNAMICS, floor + 3.0)
    return np.asarray(np.clip((voice - bottom) / np.maximum(local - bottom, 6.0), 0, 1), np.float32)


def from_sound(levels: NDArray[np.floating], loud: Series) -> Shapes:
    """Guess mouth shapes from the balance of the bands.

    Args:
        levels: (frames, bands), from ``band_levels``.
        loud: (frames,), from ``loudness``.
    """
    voiced = loud > 0.45
    openness = _standard(levels[:, OPEN] - levels[:, VOICE], voiced)
    fronting = _standard(levels[:, FRONT] - _decibels(levels[:, [OPEN, BACK]]), voiced)
    hiss = _sigmoid((levels[:, HISS] - _decibels(levels[:, [OPEN, BACK, FRONT]]) + 1.0) / 3) * (loud > 0.05)

    front = np.clip(fronting, 0, 1.2) / 1.2
    back = np.clip(-fronting, 0, 1.2) / 1.2
    wide_open = np.clip(0.5 + 0.5 * openness, 0, 1)
    weights = {
        shapes.AH: wide_open * (1 - 0.6 * front) * (1 - 0.8 * back),
        shapes.UH: (1 - wide_open) * (1 - front) * (1 - back),
        shapes.OH: wide_open * back,
        shapes.OO: (1 - wide_open) * back,
        shapes.EH: wide_open * front,
        shapes.EE: (1 - wide_open) * front,
    }
    vowels = sum(weight[:, np.newaxis] * shape.row() for shape, weight in weights.items())
    vowels = np.asarray(vowels, np.float32) / sum(weights.values())[:, np.newaxis]

    syllable = _contrast(np.clip((loud - 0.3) / 0.7, 0, 1))
    result = vowels * syllable[:, np.newaxis] ** np.float32(0.6)
    result[:, JAW] = vowels[:, JAW] * (0.2 + 0.9 * syllable) * (syllable > 0) * np.clip(3 * syllable, 0, 1)
    result = _blend(result, shapes.SIBILANT, hiss * np.clip(1 - 0.5 * back, 0, 1))
    result = _blend(result, shapes.CLOSED, _short_dips(loud))
    return _settle(result)


def from_phonemes(phonemes: Sequence[tuple[float, Shape, float]], loud: Series, rate: float) -> Shapes:
    """Sample known shapes at every frame: neighbours blend, firm ones (lips that must meet) hold their ground.

    Args:
        phonemes: Start in seconds, shape, and firmness (its weight against its neighbours).
        loud: (frames,), which the opening of the jaw follows.
        rate: Frames per second.
    """
    fine = 4
    ticks = (np.arange(len(loud) * fine) + 0.5) / (rate * fine) + LEAD
    starts = np.array([start for start, _, _ in phonemes])
    current = np.searchsorted(starts, ticks, side="right") - 1
    table = np.stack([shape.row() for _, shape, _ in phonemes] + [shapes.REST.row()])
    firmness = np.array([weight for _, _, weight in phonemes] + [1.0], np.float32)
    weights = firmness[current]  # -1, before the first phoneme, is the rest at the end of the table
    kernel = np.hanning(2 * fine + 3).astype(np.float32)
    total = np.convolve(weights, kernel, "same")
    columns = [
        np.convolve(table[current, column] * weights, kernel, "same") / total for column in range(table.shape[1])
    ]
    result = np.stack(columns, axis=1).reshape(len(loud), fine, -1).mean(axis=1).astype(np.float32)
    result[:, JAW] *= 0.3 + 0.85 * _contrast(np.clip((loud - 0.2) / 0.8, 0, 1))
    return np.asarray(result * np.clip(loud / 0.25, 0, 1)[:, np.newaxis], np.float32)


def bars(levels: NDArray[np.floating], loud: Series) -> NDArray[np.floating]:
    """Heights of an equaliser's bars: (frames, bands), 0..1."""
    top = np.array([_percentile(band, 97) for band in levels.T], np.float32)
    heights = np.clip((levels - top + 34) / 34, 0, 1) * np.clip(loud * 2, 0, 1)[:, np.newaxis]
    return np.stack([_filter(column, np.array([0.2, 0.6, 0.2], np.float32)) for column in heights.T], axis=1)


def _settle(rows: Shapes) -> Shapes:
    """Soften steps between frames; the jaw, which carries the timing, least."""
    result = np.empty_like(rows)
    for column in range(rows.shape[1]):
        kernel = np.array([1, 6, 1], np.float32) if column in (JAW, PRESS) else np.array([1, 3, 4, 3, 1], np.float32)
        result[:, column] = _filter(rows[:, column], kernel / kernel.sum())
    return result


def _contrast(series: Series) -> Series:
    """Deepen the dips between syllables."""
    around = _filter(series, np.full(13, 1 / 13, np.float32))
    return np.clip(series + 0.7 * (series - around), 0, 1).astype(np.float32)


def _short_dips(loud: Series) -> Series:
    """1 where the sound drops for at most three frames between louder ones, else 0, with soft steps."""
    reach = 3
    padded = np.pad(loud, reach, mode="edge")
    views = np.lib.stride_tricks.sliding_window_view(padded, reach + 1)
    before, after = views[: len(loud)].max(axis=1), views[reach:].max(axis=1)
    return np.asarray(np.clip((np.minimum(before, after) - loud - 0.18) / 0.2, 0, 1), np.float32)


def _blend(rows: Shapes, shape: Shape, weight: Series) -> Shapes:
    weight = weight[:, np.newaxis]
    return (rows * (1 - weight) + shape.row() * weight).astype(np.float32)


def _standard(values: Series, where: NDArray[np.bool_]) -> Series:
    """Centre by what is usual in the frames that count, and scale each side by its own spread: -2..2."""
    usual = values[where] if where.any() else values
    low, middle, high = (_percentile(usual, part) for part in (15, 50, 85))
    spread = np.where(values > middle, max(high - middle, 3.0), max(middle - low, 3.0))
    return np.asarray(np.clip((values - middle) / spread, -2, 2), np.float32)


def _percentile(levels: Series, part: float) -> float:
    """In whole decibels, so that a small change of a long track leaves the mouths of the rest as they are."""
    return float(np.round(np.percentile(levels, part)))


def _decibels(levels: NDArray[np.floating]) -> Series:
    """Levels of several bands together."""
    return np.asarray((10 * np.log10(np.power(10, levels / 10).sum(axis=1))), np.float32)


def _sigmoid(values: Series) -> Series:
    return (1 / (1 + np.exp(-values))).astype(np.float32)


def _highest(values: Series, reach: int) -> Series:
    padded = np.pad(values, reach, mode="edge")
    highest: Series = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return highest


def _smooth(values: Series, reach: int) -> Series:
    return _filter(values, np.full(2 * reach + 1, 1 / (2 * reach + 1), np.float32))


def _filter(values: Series, kernel: NDArray[np.floating]) -> Series:
    """Convolve with a kernel of odd length; the ends are held."""
    reach = len(kernel) // 2
    return np.convolve(np.pad(values, reach, mode="edge"), kernel, "valid").astype(np.float32)
