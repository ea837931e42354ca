"""Our chunk plan beside the greedy split of the older system, on the fixed corpus: ``uv run python bench/chunking.py``.

The greedy split cuts in the middle of the silence (-40 dB, 0.5 s) nearest to 45 s after the last cut, within the bounds
that ours keeps as well (half to one and a half times the target), and at 45 s where there is none. Both see the same
silences, and both cut on whole frames.

A cut is *in speech* when something is said within 40 ms of it, by the track's own schedule. GPU time is *wasted* where
a window's frames are rendered and not shown. A chunk takes 60 s to start and 30 s a window (8 steps on an H100); chunks
start in order, each on the first GPU that is free.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
from common.corpus import SpokenTrack, corpus

from talkingvideo_worker.chunking.plan import PlanSettings, makespan, plan_chunks
from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.media.silence import SoundProfile, sound_profile

TARGET = 45 * 25
STARTUP_SECONDS = 60.0
WINDOW_SECONDS = 30.0
GPUS = (1, 4, 8)


@dataclass(frozen=True)
class Figures:
    """One plan of one track."""

    cuts: int
    in_speech: int
    wasted: int
    rendered: int
    makespans: tuple[float, ...]


def greedy_lengths(track: SpokenTrack, profile: SoundProfile) -> list[int]:
    middles = [round((first + end) / 2 / 640) for first, end in profile.silences]
    cuts = [0]
    while track.frames - cuts[-1] > TARGET:
        low, high = cuts[-1] + TARGET // 2, min(cuts[-1] + TARGET * 3 // 2, track.frames - 1)
        near = [middle for middle in middles if low <= middle <= high]
        cuts.append(min(near, key=lambda middle: abs(middle - cuts[-1] - TARGET), default=cuts[-1] + TARGET))
    return [end - start for start, end in pairwise([*cuts, track.frames])]


def our_lengths(track: SpokenTrack, profile: SoundProfile) -> list[int]:
    return [chunk.frames for chunk in plan_chunks(track.frames, profile.silences, profile.energy, PlanSettings())]


def wasted_frames(frames: int, window: int = 81, motion: int = 9) -> int:
    """Frames that are rendered for a chunk and dropped."""
    windows = len(window_lengths(frames, window, motion))
    return window + (windows - 1) * (window - motion) - frames


def figures(track: SpokenTrack, lengths: Sequence[int]) -> Figures:
    cuts = np.cumsum(lengths)[:-1] / 25
    jobs = [STARTUP_SECONDS + WINDOW_SECONDS * len(window_lengths(length)) for length in lengths]
    wasted = sum(wasted_frames(length) for length in lengths)
    return Figures(
        cuts=len(cuts),
        in_speech=sum(track.has_speech(cut - 0.04, cut + 0.04) for cut in cuts),
        wasted=wasted,
        rendered=wasted + sum(lengths),
        makespans=tuple(makespan(jobs, gpus) for gpus in GPUS),
    )


def share(part_and_whole: Callable[[Figures], tuple[int, int]], rows: list[Figures]) -> float:
    pairs = [part_and_whole(row) for row in rows]
    return sum(part for part, _ in pairs) / max(1, sum(whole for _, whole in pairs))


def main() -> None:
    ours, theirs, kinds, seconds = [], [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for track in corpus():
            wav = Path(folder) / "track.wav"
            track.write(wav)
            profile = sound_profile(wav)
            started = time.perf_counter()
            ours.append(figures(track, our_lengths(track, profile)))
            seconds.append(time.perf_counter() - started)
            theirs.append(figures(track, greedy_lengths(track, profile)))
            kinds.append(track.kind)
    print("| 50 tracks | greedy | ours | ours / greedy |\n|---|---|---|---|")
    shares: tuple[tuple[str, Callable[[Figures], tuple[int, int]]], ...] = (
        ("cuts in speech", lambda row: (row.in_speech, row.cuts)),
        ("GPU time wasted", lambda row: (row.wasted, row.rendered)),
    )
    for name, value in shares:
        greedy, mine = share(value, theirs), share(value, ours)
        print(f"| {name} | {greedy:.1%} | {mine:.1%} | {mine / greedy:.2f} |")
    for index, gpus in enumerate(GPUS):
        greedy, mine = (sum(row.makespans[index] for row in rows) / 3600 for rows in (theirs, ours))
        ratios = [a.makespans[index] / b.makespans[index] for a, b in zip(ours, theirs, strict=True)]
        print(f"| makespan, {gpus} GPUs, all tracks | {greedy:.2f} h | {mine:.2f} h | {mine / greedy:.3f} |")
        worse = sum(ratio > 1 for ratio in ratios)
        print(f"| … per track: median; worst; longer in | | | {median(ratios):.3f}; {max(ratios):.3f}; {worse} |")
    print(f"| chunks | {sum(row.cuts + 1 for row in theirs)} | {sum(row.cuts + 1 for row in ours)} | |")
    print(f"| time to plan, median; longest | | {median(seconds) * 1000:.0f} ms; {max(seconds) * 1000:.0f} ms | |")
    print("\n| kind: cuts in speech | greedy | ours |\n|---|---|---|")
    for kind in dict.fromkeys(kinds):
        rows = [[row for row, name in zip(group, kinds, strict=True) if name == kind] for group in (theirs, ours)]
        parts = [f"{sum(row.in_speech for row in group)} of {sum(row.cuts for row in group)}" for group in rows]
        print(f"| {kind} | {parts[0]} | {parts[1]} |")


if __name__ == "__main__":
    main()
