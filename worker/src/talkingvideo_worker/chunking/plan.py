"""Which frames each render Job makes: a shortest path over the candidate cuts.

A chunk costs the windows that it takes, counted whole, since a GPU renders whole windows. A cut costs what ``cuts`` says.
A chunk whose length is off the target costs the square of the distance, which balances lengths. The cheapest path from
the first frame to the last is found exactly for several numbers of chunks; of these plans the one is chosen that ends
soonest, averaged over different numbers of GPUs. The real number of GPUs is unknown when the plan is made, and the plan
must never depend on it: it is part of a chunk's identity.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.chunking.cuts import Cuts, candidate_cuts
from talkingvideo_worker.chunking.windows import ChunkFrames, window_lengths
from talkingvideo_worker.units import FRAME_RATE

MAX_CHUNKS = 500
"""The limit of the resource."""

MIN_LENGTH, MAX_LENGTH = 0.5, 1.5
"""Shortest and longest chunk, as multiples of the target."""

IMBALANCE_COST = 15.0
"""Windows that a chunk of twice the target costs; grows with the square: 0.05 for one window more in a chunk of 45 s."""

MOSTLY_WASTED_COST = 1.5
"""Windows that a last window of which less than half is used costs: more than any cut in silence, less than most cuts in
speech."""

STARTUP_WINDOWS = 2.0
"""Time of a render Job before its first window, in windows: loading a 14B model, where the ``fast`` preset takes half a
minute per window on an H100."""

GPU_COUNTS = (1, 2, 3, 4, 6, 8)
"""Numbers of GPUs over which a plan's time is averaged."""

DISTURBANCE_WEIGHT = 1.0
"""Weight of the cost of cuts against time when plans are compared."""

OFF_TARGET_WEIGHT = 1.0
"""Weight of the square of the relative distance from the target, when plans are compared."""

MAX_PROPOSALS = 7
"""Numbers of chunks for which a path is calculated."""


@dataclass(frozen=True)
class PlanSettings:
    """Settings of the plan.

    Attributes:
        target_seconds: Target length of a chunk.
        window: Frames that the model renders at a time.
        motion: Frames that a window shares with the previous one.
    """

    target_seconds: float = 45.0
    window: int = 81
    motion: int = 9


def plan_chunks(
    frames: int, silences: Sequence[tuple[int, int]], energy: NDArray[np.float32], settings: PlanSettings
) -> tuple[ChunkFrames, ...]:
    """Divide a video into chunks.

    Cuts fall on whole frames, in silences where possible, otherwise at quiet positions. Every chunk is between half and one
    and a half times the target, unless the whole video is shorter. A target that would make more than 500 chunks is
    increased.

    Args:
        frames: Length of the video, at least 1.
        silences: (first sample, end sample) of each at 16 kHz, in order; the end is exclusive.
        energy: Loudness of each frame in dB.
        settings: Target and windows.

    Returns:
        Chunks in order that cover every frame once.
    """
    if frames < 1:
        raise ValueError("a video needs at least one frame")
    bounds = _Bounds.of(frames, settings)
    cuts = candidate_cuts(frames, silences, energy, interval=bounds.interval)
    proposals = [_cheapest_path(frames, cuts, bounds, count, settings) for count in _counts(frames, bounds.target)]
    best = min(proposals, key=lambda path: _score(path, frames, bounds, settings))
    return _in_windows([0, *best.cuts, frames], settings)


def _in_windows(bounds: Sequence[int], settings: PlanSettings) -> tuple[ChunkFrames, ...]:
    """Chunks between bounds (frames, ascending), each divided into windows."""
    chunks, windows_before = [], 0
    for start, end in pairwise(bounds):
        windows = window_lengths(end - start, settings.window, settings.motion)
        chunks.append(ChunkFrames(start, windows, windows_before))
        windows_before += len(windows)
    return tuple(chunks)


@dataclass(frozen=True)
class _Bounds:
    """Limits of lengths, in frames."""

    target: float
    shortest: int
    longest: int
    interval: int

    @classmethod
    def of(cls, frames: int, settings: PlanSettings) -> _Bounds:
        """Bounds for which a plan of at most 500 chunks always exists.

        Proof: candidates are less than a quarter of the target apart, and for some number of equal chunks each is
        between three quarters (11/12 where the number of chunks is the limit) and five quarters of the target long.
        The candidates nearest to the ends of these equal chunks are a plan.
        """
        least = ceil(frames / MAX_CHUNKS)
        target = max(settings.target_seconds * FRAME_RATE, 1.5 * least, 8)
        return cls(
            target=target,
            shortest=min(frames, max(ceil(MIN_LENGTH * target), least)),
            longest=max(floor(MAX_LENGTH * target), 1),
            interval=max(1, min(FRAME_RATE, floor(target / 64))),
        )


@dataclass(frozen=True)
class _Path:
    """Cuts and their total cost, in windows."""

    cuts: list[int]
    disturbance: float


def _counts(frames: int, target: float) -> list[int]:
    """Numbers of chunks worth trying, nearest to the target first."""
    wanted = frames / target
    fewest, most = max(1, ceil(wanted / 1.4)), max(1, floor(wanted / 0.7))
    nearest = sorted(range(fewest, most + 1), key=lambda count: abs(count - wanted))
    return nearest[:MAX_PROPOSALS] or [max(1, round(wanted))]


def _cheapest_path(frames: int, cuts: Cuts, bounds: _Bounds, count: int, settings: PlanSettings) -> _Path:
    """The cheapest cuts when the target length of a chunk is ``frames / count``."""
    positions = np.concatenate([[0], cuts.frames, [frames]])
    disturbance = np.concatenate([[0.0], cuts.costs, [0.0]])
    by_length = _length_costs(bounds.longest, frames / count, settings)
    nearest = np.searchsorted(positions, positions - bounds.shortest, side="right")
    farthest = np.searchsorted(positions, positions - bounds.longest, side="left")
    cost = np.full(len(positions), np.inf)
    cost[0] = 0.0
    before = np.zeros(len(positions), np.int64)
    for here in range(1, len(positions)):
        low, high = farthest[here], nearest[here]
        if low < high:
            ways = cost[low:high] + by_length[positions[here] - positions[low:high]]
            best = int(ways.argmin())
            cost[here] = ways[best] + disturbance[here]
            before[here] = low + best
    path = []
    here = int(before[-1])
    while here:
        path.append(here)
        here = int(before[here])
    path.reverse()
    return _Path([int(positions[here]) for here in path], float(disturbance[path].sum()))


def _length_costs(longest: int, wanted: float, settings: PlanSettings) -> NDArray[np.float64]:
    """Costs of chunks of 0, 1, … ``longest`` frames, in windows."""
    lengths = np.arange(longest + 1)
    windows = _windows(lengths, settings)
    fresh = settings.window - settings.motion
    rendered = settings.window + (windows - 1) * fresh
    capacity = np.where(windows == 1, settings.window, fresh)
    mostly_wasted = 2 * (rendered - lengths) > capacity
    costs: NDArray[np.float64] = (
        windows + MOSTLY_WASTED_COST * mostly_wasted + IMBALANCE_COST * np.square(lengths / wanted - 1)
    )
    return costs


def _windows(lengths: NDArray[np.int64], settings: PlanSettings) -> NDArray[np.int64]:
    """Numbers of windows of chunks of these lengths; see ``windows.window_lengths``."""
    fresh = settings.window - settings.motion
    return 1 + np.maximum(0, -(-(lengths - settings.window) // fresh))


def _score(path: _Path, frames: int, bounds: _Bounds, settings: PlanSettings) -> float:
    """Score of a plan, lower is better: time to render everything on different numbers of GPUs, cuts, and lengths.

    All terms are relative to the shortest possible rendering time.
    """
    lengths = np.diff([0, *path.cuts, frames])
    jobs = STARTUP_WINDOWS + _windows(lengths, settings)
    least = frames / (settings.window - settings.motion)
    useful = max(1.0, frames / bounds.target)
    time = np.mean([makespan(jobs.tolist(), gpus) * min(gpus, useful) for gpus in GPU_COUNTS]) / least
    off_target = (frames / len(lengths) / bounds.target - 1) ** 2
    return float(time + DISTURBANCE_WEIGHT * path.disturbance / least + OFF_TARGET_WEIGHT * off_target)


def makespan(jobs: Sequence[float], gpus: int) -> float:
    """Time until the last job ends when each starts, in order, on the GPU that is free first."""
    free = [0.0] * gpus
    for job in jobs:
        heapq.heapreplace(free, free[0] + job)
    return max(free)


def chained_chunks(frames: int, settings: PlanSettings) -> tuple[ChunkFrames, ...]:
    """Divide the windows of a video into chunks of about the target length, as evenly as whole windows allow.

    Args:
        frames: Length of the video, at least 1.
        settings: Target and windows.

    Returns:
        At most 500 chunks in order; each but the first continues from the previous one.
    """
    windows = window_lengths(frames, settings.window, settings.motion)
    wanted = round(frames / (settings.target_seconds * FRAME_RATE))
    count = min(max(1, wanted), len(windows), MAX_CHUNKS)
    chunks, start = [], 0
    for first, end in pairwise(len(windows) * cut // count for cut in range(count + 1)):
        overlap = settings.motion if first else 0
        chunks.append(ChunkFrames(start, windows[first:end], first, overlap))
        start += chunks[-1].frames
    return tuple(chunks)
