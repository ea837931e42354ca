"""How the published code prepares sound: loudness, and the arrangement of two speakers' tracks.

The project's own ``prepare`` measures loudness with the exact filters of BS.1770 (0.12 LU less than here) and arranges
tracks as files. The features are the same: a constant gain has no effect on them (see ``feature_spans``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.spec import Arrangement
from talkingvideo_worker.units import SAMPLE_RATE

TARGET_LUFS = -23.0
IMPLAUSIBLE_LUFS = 100.0
"""A loudness further from 0 is that of silence, which is not changed."""

BLOCK, STEP = 0.4, 0.1
"""Seconds of a gating block, and from one to the next."""

ABSOLUTE_GATE, RELATIVE_GATE = -70.0, -10.0

Sound = NDArray[np.float64]
Biquad = tuple[NDArray[np.float64], NDArray[np.float64]]


def normalised(samples: Sound) -> Sound:
    """A 16 kHz mono track brought to -23 LUFS; silence as it is."""
    loudness = integrated_loudness(samples)
    return samples if abs(loudness) > IMPLAUSIBLE_LUFS else samples * 10 ** ((TARGET_LUFS - loudness) / 20)


def integrated_loudness(samples: Sound) -> float:
    """Loudness of a 16 kHz mono track in LUFS with pyloudnorm's filters; minus infinity for silence."""
    powers = _block_powers(_k_weighted(samples))
    loud = powers[_lufs(powers) >= ABSOLUTE_GATE]
    if not len(loud):
        return -math.inf
    gate = float(_lufs(loud.mean())) + RELATIVE_GATE
    kept = powers[(_lufs(powers) > gate) & (_lufs(powers) > ABSOLUTE_GATE)]
    return float(_lufs(kept.mean()))


def arranged(arrangement: Arrangement, first: Sound | None, second: Sound | None) -> tuple[Sound, Sound]:
    """The tracks of two speakers over the whole video.

    Unlike in the published code, simultaneous tracks may differ in length: the shorter one ends with silence.

    Args:
        arrangement: Together, or one after the other.
        first: The first speaker's sound, or None for silence as long as the other's.
        second: Likewise.
    """
    sounds: Sequence[Sound | None] = (first, second)
    lengths = [len(sound) for sound in sounds if sound is not None]
    one, two = (np.zeros(lengths[0]) if sound is None else sound for sound in sounds)
    if arrangement is Arrangement.SEQUENTIAL:
        return np.pad(one, (0, len(two))), np.pad(two, (len(one), 0))
    longest = max(len(one), len(two))
    return np.pad(one, (0, longest - len(one))), np.pad(two, (0, longest - len(two)))


def _block_powers(samples: Sound) -> Sound:
    """Mean square of each gating block."""
    blocks = round((len(samples) / SAMPLE_RATE - BLOCK) / STEP) + 1
    starts = [STEP * block for block in range(blocks)]
    squares = samples**2
    sums = [squares[int(start * SAMPLE_RATE) : int((start + BLOCK) * SAMPLE_RATE)].sum() for start in starts]
    return np.array(sums) / (BLOCK * SAMPLE_RATE)


def _lufs(power: Sound | np.floating) -> Sound:
    with np.errstate(divide="ignore"):
        return np.asarray(-0.691 + 10 * np.log10(power))


def _k_weighted(samples: Sound) -> Sound:
    """The track through both filters, in the frequency domain; the padding takes their ringing."""
    size = len(samples) + SAMPLE_RATE
    delay = np.exp(-2j * np.pi * np.fft.rfftfreq(size))
    response = np.ones_like(delay)
    for numerator, denominator in (_high_shelf(4.0, math.sqrt(0.5), 1500.0), _high_pass(0.5, 38.0)):
        response *= np.polynomial.polynomial.polyval(delay, numerator)
        response /= np.polynomial.polynomial.polyval(delay, denominator)
    return np.fft.irfft(np.fft.rfft(samples, size) * response, size)[: len(samples)]


def _high_shelf(decibels: float, quality: float, hertz: float) -> Biquad:
    """Bristow-Johnson's Audio EQ Cookbook."""
    amplitude, angle = 10 ** (decibels / 40), 2 * math.pi * hertz / SAMPLE_RATE
    slope = 2 * math.sqrt(amplitude) * math.sin(angle) / (2 * quality)
    up, down, cosine = amplitude + 1, amplitude - 1, math.cos(angle)
    numerator = [up + down * cosine + slope, -2 * (down + up * cosine), up + down * cosine - slope]
    denominator = [up - down * cosine + slope, 2 * (down - up * cosine), up - down * cosine - slope]
    return amplitude * np.array(numerator), np.array(denominator)


def _high_pass(quality: float, hertz: float) -> Biquad:
    """Likewise."""
    angle = 2 * math.pi * hertz / SAMPLE_RATE
    alpha, cosine = math.sin(angle) / (2 * quality), math.cos(angle)
    numerator = [(1 + cosine) / 2, -(1 + cosine), (1 + cosine) / 2]
    return np.array(numerator), np.array([1 + alpha, -2 * cosine, 1 - alpha])
