"""Audio features of each video frame: energy in a few bands, loudness, and the levels of a meter.

Sound is read in blocks, so that memory holds one row per frame and never the whole track.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.media.wav import read_samples, require_engine_audio
from talkingvideo_worker.units import SAMPLE_RATE, SAMPLES_PER_FRAME

Series = NDArray[np.floating]
"""(frames,)"""

BANDS = ((100, 400), (400, 1000), (1000, 1700), (1700, 3400), (3800, 7800))
"""Hertz: voice and nasals; open vowels; back vowels; front vowels; hiss."""

VOICE, OPEN, BACK, FRONT, HISS = range(5)

WINDOW = 800
"""Samples analysed for one frame: its own 40 ms and 5 ms on both sides."""

BLOCK = 500
"""Frames whose sound is read at once."""

SILENT_DB = -95.0

QUIETEST = -62.0
"""Decibels: a track whose loudest moments stay below this is silent."""

DYNAMICS = 36.0
"""Decibels between closed lips and the loudest syllables."""

NEIGHBOURHOOD = 75
"""Frames on each side that loudness is measured against: 3 s."""


def band_levels(path: Path, frames: int) -> NDArray[np.floating]:
    """Measure the energy of a sound track in each band.

    Args:
        path: 16 kHz mono 16-bit WAV.
        frames: Frames of the video; sound missing at the end counts as silence.

    Returns:
        (frames, 5): decibels below full scale, by band.

    Raises:
        StageError: E_AUDIO_EMBEDDING when the file has another format.
    """
    levels = np.empty((frames, len(BANDS)), np.float32)
    window = np.hanning(WINDOW).astype(np.float32)
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    members = np.array([(hertz >= low) & (hertz < high) for low, high in BANDS], np.float32)
    done = 0
    for windows in _windows(path, frames):
        power = np.square(np.abs(np.fft.rfft(windows * window))).astype(np.float32) / np.square(window.sum() / 2)
        rows = len(windows)
        levels[done : done + rows] = 10 * np.log10(power @ members.T + 10 ** (SILENT_DB / 10))
        done += rows
    return levels


def loudness(levels: NDArray[np.floating]) -> Series:
    """How loud the voice is: 0 silence … 1 the loudest syllables in the neighbourhood.

    Args:
        levels: (frames, bands), from ``band_levels``.
    """
    voice = sum_levels(levels[:, [VOICE, OPEN, BACK, FRONT]])
    top = percentile(voice, 97)
    if top < QUIETEST:
        return np.zeros(len(voice), np.float32)
    floor = max(percentile(voice, 4), top - 50.0)
    local = np.clip(_moving_average(_moving_maximum(voice, NEIGHBOURHOOD), NEIGHBOURHOOD), top - 12.0, top + 3.0)
    bottom = np.maximum(local - DYNAMICS, floor + 3.0)
    return np.asarray(np.clip((voice - bottom) / np.maximum(local - bottom, 6.0), 0, 1), np.float32)


def meter_levels(levels: NDArray[np.floating], loud: Series) -> NDArray[np.floating]:
    """Heights of a level meter's bars: (frames, bands), 0..1.

    Args:
        levels: (frames, bands), from ``band_levels``.
        loud: (frames,), from ``loudness``.
    """
    top = np.array([percentile(band, 97) for band in levels.T], np.float32)
    heights = np.clip((levels - top + 34) / 34, 0, 1) * np.clip(loud * 2, 0, 1)[:, np.newaxis]
    return np.stack([smooth(column, np.array([0.2, 0.6, 0.2], np.float32)) for column in heights.T], axis=1)


def percentile(levels: Series, percent: float) -> float:
    """A percentile in whole decibels, so that a small change of a long track leaves the mouths of the rest unchanged."""
    return float(np.round(np.percentile(levels, percent)))


def sum_levels(levels: NDArray[np.floating]) -> Series:
    """Decibels of several bands together."""
    return np.asarray((10 * np.log10(np.power(10, levels / 10).sum(axis=1))), np.float32)


def smooth(values: Series, kernel: NDArray[np.floating]) -> Series:
    """Convolve with a kernel of odd length; the first and last values are held beyond the ends."""
    reach = len(kernel) // 2
    return np.convolve(np.pad(values, reach, mode="edge"), kernel, "valid").astype(np.float32)


def _moving_maximum(values: Series, reach: int) -> Series:
    padded = np.pad(values, reach, mode="edge")
    highest: Series = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return highest


def _moving_average(values: Series, reach: int) -> Series:
    return smooth(values, np.full(2 * reach + 1, 1 / (2 * reach + 1), np.float32))


def _windows(path: Path, frames: int) -> Iterator[NDArray[np.floating]]:
    """The samples analysed for each frame, block by block: (up to BLOCK, WINDOW), -1..1."""
    require_engine_audio(path)
    margin = (WINDOW - SAMPLES_PER_FRAME) // 2
    for first in range(0, frames, BLOCK):
        start = first * SAMPLES_PER_FRAME - margin
        end = start + (min(BLOCK, frames - first) - 1) * SAMPLES_PER_FRAME + WINDOW
        padded = np.pad(read_samples(path, max(0, start), end - max(0, start)), (max(0, -start), 0))
        samples = padded.astype(np.float32) / 32768
        yield np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::SAMPLES_PER_FRAME]
