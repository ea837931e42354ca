"""What is heard in each frame: energy in a few bands, read by blocks, so that memory holds only a row per frame."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.units import SAMPLE_RATE, SAMPLES_PER_FRAME

BANDS = ((100, 400), (400, 1000), (1000, 1700), (1700, 3400), (3800, 7800))
"""Hertz: voice and nasals; open vowels; back vowels; front vowels; hiss."""

VOICE, OPEN, BACK, FRONT, HISS = range(5)

WINDOW = 800
"""Samples that one frame hears: its own 40 ms and 5 ms on both sides."""

BLOCK = 500
"""Frames read at once."""

SILENT_DB = -95.0


def band_levels(path: Path, frames: int) -> NDArray[np.floating]:
    """Measure a sound track.

    Args:
        path: 16 kHz mono 16-bit WAV.
        frames: Of the video; sound that is missing at the end counts as silence.

    Returns:
        (frames, 5): decibels below full scale, by band.
    """
    levels = np.empty((frames, len(BANDS)), np.float32)
    window = np.hanning(WINDOW).astype(np.float32)
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    members = np.array([(hertz >= low) & (hertz < high) for low, high in BANDS], np.float32)
    done = 0
    for heard in _heard(path, frames):
        power = np.square(np.abs(np.fft.rfft(heard * window))).astype(np.float32) / np.square(window.sum() / 2)
        rows = len(heard)
        levels[done : done + rows] = 10 * np.log10(power @ members.T + 10 ** (SILENT_DB / 10))
        done += rows
    return levels


def _heard(path: Path, frames: int) -> Iterator[NDArray[np.floating]]:
    """For each block of frames what each of them hears: (up to BLOCK, WINDOW), -1..1."""
    margin = (WINDOW - SAMPLES_PER_FRAME) // 2
    with wave.open(str(path), "rb") as sound:
        layout = (sound.getframerate(), sound.getnchannels(), sound.getsampwidth())
        if layout != (SAMPLE_RATE, 1, 2):
            raise StageError(
                ErrorCode.AUDIO_EMBEDDING,
                f"The track is not 16 kHz mono 16-bit sound (rate, channels, bytes: {layout}).",
            )
        kept = np.zeros(margin, np.float32)
        for first in range(0, frames, BLOCK):
            count = min(BLOCK, frames - first)
            wanted = (count - 1) * SAMPLES_PER_FRAME + WINDOW
            raw = np.frombuffer(sound.readframes(wanted - len(kept)), "<i2").astype(np.float32) / 32768
            samples = np.zeros(wanted, np.float32)
            samples[: len(kept)] = kept
            samples[len(kept) : len(kept) + len(raw)] = raw
            kept = samples[count * SAMPLES_PER_FRAME :].copy()
            yield np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::SAMPLES_PER_FRAME]
