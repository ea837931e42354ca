"""Candidate cuts of a track and what each costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.units import SAMPLES_PER_FRAME

MARGIN = 1
"""Frames between a cut and both ends of its silence: quiet consonants there are below any threshold."""

STRIDE = 3
"""Every third frame of a silence is a candidate: 0.12 s apart is close enough."""

QUIET_CUT_COST = 0.5
LOUD_CUT_COST = 10.0
"""Costs of a cut outside silence, in windows: where the track is quietest, and where it is loudest. Viewers notice a word
that is cut in two; avoiding that is worth rendering ten more windows, half a minute of video."""

EDGE_COST = 0.2
"""Cost of a cut at either end of a silence, in windows; it falls towards the middle, and decides between equal cuts."""

QUIET_BELOW_LOUD_DB = 30.0
"""Decibels below the loudest tenth of a track at which a voice is inaudible: quieter positions are no better."""

MIN_RANGE_DB = 6.0
"""Smallest difference between loud and quiet positions; below it a track counts as equally loud everywhere."""


@dataclass(frozen=True)
class Cuts:
    """Candidate cuts, in order of position.

    Attributes:
        frames: Number of the frame before which each cut falls, ascending.
        costs: Cost of each, in windows.
    """

    frames: NDArray[np.int64]
    costs: NDArray[np.float64]


def candidate_cuts(
    frames: int, silences: Sequence[tuple[int, int]], energy: NDArray[np.float32], interval: int
) -> Cuts:
    """List the cuts worth considering: those in silences, and the quietest one of every short interval.

    Args:
        frames: Length of the video.
        silences: (first, one past the last) sample of each.
        energy: Loudness in dB, one value per frame.
        interval: Frames per interval; neighbouring candidates are less than twice as far apart.

    Returns:
        Candidates strictly within the video.
    """
    costs = _costs(frames, energy)
    chosen = [_quietest(costs, interval)]
    for first, end in silences:
        inside = _frames_inside(first, end)
        inside = inside[(inside > 0) & (inside < frames)]
        if len(inside):
            to_edge = np.minimum(inside - inside[0], inside[-1] - inside)
            costs[inside] = EDGE_COST / (1 + to_edge)
            chosen.append(inside[(len(inside) - 1) // 2 % STRIDE :: STRIDE])
    positions = np.unique(np.concatenate(chosen))
    positions = positions[(positions > 0) & (positions < frames)]
    return Cuts(positions, costs[positions])


def _costs(frames: int, energy: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cost of a cut before each frame, from the loudest of the 80 ms on both sides."""
    level = np.resize(energy, frames) if len(energy) >= frames else np.pad(energy, (0, frames - len(energy)), "edge")
    around = np.pad(level.astype(np.float64), (2, 1), "edge")
    loudest = np.max([around[shift : shift + frames] for shift in range(4)], axis=0)
    loud = float(np.percentile(level, 90))
    quiet = max(float(loudest.min()), loud - QUIET_BELOW_LOUD_DB)
    share = np.clip((loudest - quiet) / max(loud - quiet, MIN_RANGE_DB), 0, 1)
    costs: NDArray[np.float64] = QUIET_CUT_COST + (LOUD_CUT_COST - QUIET_CUT_COST) * share
    return costs


def _quietest(costs: NDArray[np.float64], interval: int) -> NDArray[np.int64]:
    """The cheapest cut of each interval."""
    intervals = -(-len(costs) // interval)
    table = np.pad(costs, (0, intervals * interval - len(costs)), constant_values=np.inf).reshape(intervals, interval)
    positions: NDArray[np.int64] = np.arange(intervals) * interval + table.argmin(axis=1)
    return positions


def _frames_inside(first: int, end: int) -> NDArray[np.int64]:
    """Cuts within a silence, at least the margin from its ends; the middle of one that is too short for that."""
    low, high = -(-first // SAMPLES_PER_FRAME) + MARGIN, end // SAMPLES_PER_FRAME - MARGIN
    if low > high:
        middle = round((first + end) / 2 / SAMPLES_PER_FRAME)
        return np.array([middle] if first <= middle * SAMPLES_PER_FRAME < end else [], np.int64)
    return np.arange(low, high + 1)
