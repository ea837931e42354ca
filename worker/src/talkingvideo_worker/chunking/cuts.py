"""Where a track may be cut, and how much each place disturbs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.units import SAMPLES_PER_FRAME

MARGIN = 1
"""Frames that a cut keeps from both ends of a silence, where consonants are quieter than any threshold."""

STRIDE = 3
"""Of the frames of a silence, every third one is enough to choose from: 0.12 s apart."""

QUIET_PLACE_COST = 0.5
LOUD_PLACE_COST = 10.0
"""Costs of a cut outside silence, in windows: in a pause as quiet as the track ever is, and at its loudest. A viewer
notices a word cut in two; ten windows more to render, half a minute of video, are worth avoiding it."""

EDGE_COST = 0.2
"""Of a cut at the end of a silence, in windows; falls towards its middle. Decides between cuts that are else equal."""

QUIET_BELOW_LOUD_DB = 30.0
"""This far below the loud tenth of a track nothing is heard of a voice; what is still quieter is no better place."""

LEAST_RANGE_DB = 6.0
"""A track whose loud and quiet places are closer than this is equally loud everywhere."""


@dataclass(frozen=True)
class Cuts:
    """Candidates, by position.

    Attributes:
        frames: Number of the frame before which each cut falls, rising.
        costs: What each disturbs, in windows.
    """

    frames: NDArray[np.int64]
    costs: NDArray[np.float64]


def candidate_cuts(frames: int, silences: Sequence[tuple[int, int]], energy: NDArray[np.float32], stretch: int) -> Cuts:
    """List the cuts worth considering: those in silences, and the quietest of every short stretch.

    Args:
        frames: Length of the video.
        silences: (first, one past the last) sample of each.
        energy: dB, one value a frame.
        stretch: Frames per stretch; two neighbouring candidates are less than twice as far apart.

    Returns:
        Candidates strictly inside the video.
    """
    costs = _costs(frames, energy)
    chosen = [_quietest(costs, stretch)]
    for first, end in silences:
        inside = _frames_inside(first, end)
        inside = inside[(inside > 0) & (inside < frames)]
        if len(inside):
            to_edge = np.minimum(inside - inside[0], inside[-1] - inside)
            costs[inside] = EDGE_COST / (1 + to_edge)
            chosen.append(inside[(len(inside) - 1) // 2 % STRIDE :: STRIDE])
    places = np.unique(np.concatenate(chosen))
    places = places[(places > 0) & (places < frames)]
    return Cuts(places, costs[places])


def _costs(frames: int, energy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cost of a cut before each frame, by the loudest of the 80 ms on both sides."""
    level = np.resize(energy, frames) if len(energy) >= frames else np.pad(energy, (0, frames - len(energy)), "edge")
    around = np.pad(level.astype(np.float64), (2, 1), "edge")
    loudest = np.max([around[shift : shift + frames] for shift in range(4)], axis=0)
    loud = float(np.percentile(level, 90))
    quiet = max(float(loudest.min()), loud - QUIET_BELOW_LOUD_DB)
    share = np.clip((loudest - quiet) / max(loud - quiet, LEAST_RANGE_DB), 0, 1)
    costs: NDArray[np.float64] = QUIET_PLACE_COST + (LOUD_PLACE_COST - QUIET_PLACE_COST) * share
    return costs


def _quietest(costs: NDArray[np.float64], stretch: int) -> NDArray[np.int64]:
    """The cheapest cut of each stretch."""
    stretches = -(-len(costs) // stretch)
    table = np.pad(costs, (0, stretches * stretch - len(costs)), constant_values=np.inf).reshape(stretches, stretch)
    places: NDArray[np.int64] = np.arange(stretches) * stretch + table.argmin(axis=1)
    return places


def _frames_inside(first: int, end: int) -> NDArray[np.int64]:
    """Cuts inside a silence with the margin; in a silence too short for it, the middle."""
    low, high = -(-first // SAMPLES_PER_FRAME) + MARGIN, end // SAMPLES_PER_FRAME - MARGIN
    if low > high:
        middle = round((first + end) / 2 / SAMPLES_PER_FRAME)
        return np.array([middle] if first <= middle * SAMPLES_PER_FRAME < end else [], np.int64)
    return np.arange(low, high + 1)
