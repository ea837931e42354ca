"""Loudness and silences of a track, from which chunks are planned."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.media.wav import require_engine_audio, sample_blocks
from talkingvideo_worker.units import SAMPLE_RATE, SAMPLES_PER_FRAME

FLOOR_DB = -120.0
"""Loudness of digital silence."""

HOPS_PER_FRAME = 4
HOP = SAMPLES_PER_FRAME // HOPS_PER_FRAME
"""Samples over which loudness is averaged: 10 ms, a few periods of the lowest voice."""

BLOCK_FRAMES = 1_000
"""Sound that is read at a time, in video frames: 40 s, 1.3 MB."""


@dataclass(frozen=True)
class SoundProfile:
    """What the plan of chunks knows about a track.

    Attributes:
        silences: (first sample, end sample) of each silence, in order; the end is exclusive.
        energy: Loudness in dB relative to full scale, one value per video frame; the last frame may be incomplete.
    """

    silences: tuple[tuple[int, int], ...]
    energy: NDArray[np.float32]


def sound_profile(wav: Path, threshold_db: float = -40.0, minimum_seconds: float = 0.5) -> SoundProfile:
    """Measure a track.

    Levels are RMS over 10 ms, in dB relative to full scale (a full-scale square wave is 0 dB). The file is the engines'
    input, which prepare has normalised to -23 LUFS: a threshold then means the same for a whisper and a shout.

    Args:
        wav: 16 kHz mono 16-bit WAV. It is read in blocks: memory grows by 17 kB per minute, for the levels.
        threshold_db: Quieter sound is silence.
        minimum_seconds: Shorter silences are ignored.

    Returns:
        Silences and loudness.

    Raises:
        StageError: E_INTERNAL for another kind of file: prepare writes this one.
    """
    powers = np.concatenate([np.zeros(0, np.float32), *_hop_powers(wav)])
    silences = _runs(_decibels(powers) < threshold_db, round(minimum_seconds * SAMPLE_RATE / HOP))
    frames = -(-len(powers) // HOPS_PER_FRAME)
    padded = np.pad(powers, (0, frames * HOPS_PER_FRAME - len(powers)))
    energy = _decibels(padded.reshape(frames, HOPS_PER_FRAME).mean(axis=1))
    return SoundProfile(silences=tuple((first * HOP, end * HOP) for first, end in silences), energy=energy)


def _hop_powers(wav: Path) -> Iterator[NDArray[np.float32]]:
    """Mean square of each 10 ms, block by block; full scale is 1. The last hop is padded with zeros."""
    require_engine_audio(wav)
    for block in sample_blocks(wav, BLOCK_FRAMES * SAMPLES_PER_FRAME):
        samples = block.astype(np.float32) / 32_768
        samples = np.pad(samples, (0, -len(samples) % HOP))
        yield np.square(samples).reshape(-1, HOP).mean(axis=1)


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return (10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))).astype(np.float32)


def _runs(quiet: NDArray[np.bool_], minimum: int) -> list[tuple[int, int]]:
    """(first, end) of each run of at least ``minimum`` true values; the end is exclusive."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]])))
    pairs = edges.reshape(-1, 2)
    return [(int(first), int(end)) for first, end in pairs if end - first >= max(1, minimum)]
