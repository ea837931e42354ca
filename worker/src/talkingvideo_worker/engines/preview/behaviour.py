"""What a listener hardly notices but misses: blinks and the sway of the head."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.units import FRAME_RATE

BLINK = np.array([0.3, 0.8, 1.0, 0.95, 0.6, 0.25], np.float32)
"""How far the lids are closed in the frames of one blink."""

PAUSE = (1.8, 5.2)
"""Seconds between blinks, least and most."""

SHIFT, NOD, TILT = range(3)


def blinks(frames: int, seed: int) -> NDArray[np.floating]:
    """How far the lids are closed, 0..1: (frames,)."""
    random = np.random.default_rng([seed, 1])
    closed = np.zeros(frames + len(BLINK), np.float32)
    at = int(FRAME_RATE * random.uniform(0.6, 2.0))
    while at < frames:
        closed[at : at + len(BLINK)] = BLINK
        at += len(BLINK) + int(FRAME_RATE * random.uniform(*PAUSE))
    return closed[:frames]


def sway(loud: NDArray[np.floating], seed: int) -> NDArray[np.floating]:
    """How the head moves.

    Args:
        loud: (frames,), 0..1; emphasis nods.
        seed: Of the scene.

    Returns:
        (frames, 3): shift to the side and nod in hundredths of the distance of the eyes, tilt in degrees.
    """
    phase = np.random.default_rng([seed, 2]).uniform(0, 2 * np.pi, 7)
    seconds = np.arange(len(loud)) / FRAME_RATE

    def wave(hertz: float, number: int) -> NDArray[np.float64]:
        return np.asarray(np.sin(2 * np.pi * hertz * seconds + phase[number]))

    emphasis = _smoothed(loud, 9) - _smoothed(loud, 41)
    result = np.empty((len(loud), 3), np.float32)
    result[:, SHIFT] = 1.9 * wave(0.17, 0) + 0.9 * wave(0.41, 1)
    result[:, NOD] = 0.9 * wave(0.29, 2) + 0.5 * wave(0.47, 3) + 3.2 * emphasis
    result[:, TILT] = 0.75 * wave(0.13, 4) + 0.35 * wave(0.37, 5) + 0.5 * emphasis * np.sign(wave(0.11, 6))
    return result


def _smoothed(series: NDArray[np.floating], width: int) -> NDArray[np.float64]:
    kernel = np.hanning(width + 2)[1:-1]
    return np.convolve(np.pad(series, width // 2, mode="edge"), kernel / kernel.sum(), "valid")
