"""The published run and sizing that comparisons use."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worker.infinitetalk.conftest import track
from tests.worker.infinitetalk.parity.published import PublishedRun, covering, mirrored

from talkingvideo_worker.engines.infinitetalk import (
    Tracks,
)


def test_a_track_is_extended_backwards_only_where_it_is_too_short() -> None:
    assert mirrored(track(100), 99) is not None
    assert len(mirrored(track(100), 99)) == 100
    assert mirrored(track(100), 102)[100:, 0, 0].tolist() == [99, 98, 97, 96, 95]


def published_loop(lengths: list[int], max_frames: int) -> tuple[list[int], int, list[bool]]:
    """The published loop as plain code: window starts, frames of the video, and which windows have extended tracks."""
    start, last, starts, extended, some = 0, max_frames <= 81, [], [], False
    while True:
        starts.append(start)
        extended.append(some)
        if last:
            break
        start += 72
        if start + 81 >= min(max_frames, lengths[0]):
            last = True
            some = any(start + 81 >= length for length in lengths)
    frames = min(max_frames, 81 + 72 * (len(starts) - 1))
    return starts, min(frames, lengths[-1]) if some else frames, extended


@pytest.mark.parametrize("max_frames", [60, 81, 82, 100, 153, 154, 200, 1000])
def test_a_published_run_has_the_published_windows_and_length(max_frames: int) -> None:
    for length in range(82, 401):
        starts, frames, extended = published_loop([length], max_frames)
        run = PublishedRun([track(length)], max_frames)
        assert sum(run.window_lengths) == frames
        assert len(run.window_lengths) == len(starts)
        for start, some in zip(starts, extended, strict=True):
            plain = Tracks([track(length)]).windows(start, 81)
            assert (run.windows(start, 81) == plain).all() == (not some or start + 81 + 2 <= length)


@given(first=st.integers(82, 400), second=st.integers(82, 400), max_frames=st.integers(1, 500))
@settings(max_examples=200, deadline=None)
def test_a_published_run_ends_with_the_last_speaker(first: int, second: int, max_frames: int) -> None:
    starts, frames, _ = published_loop([first, second], max_frames)
    run = PublishedRun([track(first), track(second)], max_frames)
    assert run.frames == frames <= sum(run.window_lengths)
    assert len(run.window_lengths) == len(starts)


def test_a_published_run_takes_tracks_of_torch() -> None:
    array = PublishedRun([track(100)], 1000)
    tensor = PublishedRun([torch.from_numpy(track(100))], 1000)
    assert tensor.window_lengths == array.window_lengths
    assert (tensor.windows(72, 81) == array.windows(72, 81)).all()


@given(height=st.integers(8, 90), width=st.integers(8, 90))
def test_a_covering_picture_has_the_size_and_keeps_its_middle(height: int, width: int) -> None:
    picture = np.zeros((60, 80, 3), np.uint8)
    picture[20:40, 30:50] = 255
    found = covering(picture, height, width)
    assert found.shape == (height, width, 3)
    assert found[height // 2, width // 2].min() > 200
