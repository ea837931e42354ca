"""Chunks of a chained video are the windows of one run, divided."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_worker.chunking.plan import PlanSettings, chained_chunks
from talkingvideo_worker.chunking.windows import window_lengths


@given(
    frames=st.integers(1, 200_000),
    seconds=st.floats(10, 600),
    window=st.integers(1, 60).map(lambda n: 4 * n + 1),
    motion=st.integers(0, 19).map(lambda n: 4 * n + 1),
)
def test_together_they_are_the_windows_of_one_run(frames: int, seconds: float, window: int, motion: int) -> None:
    motion = min(motion, window - 4)
    chunks = chained_chunks(frames, PlanSettings(seconds, window, motion))
    windows = window_lengths(frames, window, motion)
    assert tuple(length for chunk in chunks for length in chunk.windows) == windows
    assert [chunk.start for chunk in chunks] == [sum(windows[: chunk.first_window]) for chunk in chunks]
    assert [chunk.overlap for chunk in chunks] == [0] + [motion] * (len(chunks) - 1)
    assert all(after.first_window - before.first_window == len(before.windows) for before, after in pairwise(chunks))
    sizes = {len(chunk.windows) for chunk in chunks}
    assert 1 <= len(chunks) <= 500
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize(
    ("frames", "sizes"),
    [
        (1, [1]),
        (81, [81]),
        (1_125, [1_125]),
        (2_250, [1_161, 1_089]),
        (7_500, [1_089, 1_080, 1_080, 1_080, 1_080, 1_080, 1_011]),
    ],
)
def test_they_are_about_as_long_as_the_target(frames: int, sizes: list[int]) -> None:
    assert [chunk.frames for chunk in chained_chunks(frames, PlanSettings(45))] == sizes
