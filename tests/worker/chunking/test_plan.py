import time
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.worker.chunking.fill import last_window_fill

from talkingvideo_worker.chunking.plan import PlanSettings, makespan, plan_chunks
from talkingvideo_worker.chunking.windows import ChunkFrames

SPEECH, PAUSE = -20.0, -65.0


def spoken(frames: int, pauses: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], NDArray[np.float32]]:
    """Silences and loudness of speech with pauses, both from pauses as (first, one past the last) frame."""
    energy = np.full(frames, SPEECH, np.float32)
    for first, end in pauses:
        energy[first:end] = PAUSE
    return [(first * 640, end * 640) for first, end in pauses], energy


def cuts(chunks: tuple[ChunkFrames, ...]) -> list[int]:
    return [chunk.start for chunk in chunks[1:]]


@st.composite
def tracks(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]], NDArray[np.float32]]:
    """Any length, any disjoint silences (not on frames), any loudness, related to them or not."""
    frames = draw(st.integers(1, 20_000))
    edges = sorted(draw(st.sets(st.integers(0, frames * 640), max_size=60)))
    silences = list(zip(edges[::2], edges[1::2], strict=False))
    seed = draw(st.integers(0, 2**32 - 1))
    spread = draw(st.sampled_from([0.0, 3.0, 30.0]))
    rng = np.random.default_rng(seed)
    return frames, silences, (-30 + spread * rng.standard_normal(frames)).astype(np.float32)


@given(track=tracks(), target=st.floats(10, 600), window=st.sampled_from([(81, 9), (5, 1), (201, 49), (33, 0)]))
@settings(max_examples=150, deadline=None)
def test_chunks_cover_every_frame_once_whatever_the_audio(
    track: tuple[int, list[tuple[int, int]], NDArray[np.float32]], target: float, window: tuple[int, int]
) -> None:
    frames, silences, energy = track
    wanted = PlanSettings(target, *window)
    chunks = plan_chunks(frames, silences, energy, wanted)
    assert chunks[0].start == 0
    assert all(after.start == before.start + before.frames for before, after in pairwise(chunks))
    assert chunks[-1].start + chunks[-1].frames == frames
    assert all(chunk.frames >= 1 for chunk in chunks)
    assert len(chunks) == 1 or all(target * 25 * 0.5 <= chunk.frames <= target * 25 * 1.5 for chunk in chunks)
    assert frames > 1.5 * 25 * target or len(chunks) <= 2
    assert chunks == plan_chunks(frames, silences, energy, wanted)


@given(frames=st.integers(120_000, 250_000), target=st.floats(10, 20), quiet=st.booleans())
@settings(max_examples=6, deadline=None)
def test_a_long_video_never_becomes_more_than_500_chunks(frames: int, target: float, quiet: bool) -> None:
    pauses = [(position, position + 20) for position in range(60, frames - 60, 100)] if quiet else []
    chunks = plan_chunks(frames, *spoken(frames, pauses), PlanSettings(target))
    assert len(chunks) <= 500
    assert sum(chunk.frames for chunk in chunks) == frames


@given(pauses=st.lists(st.integers(15, 80), min_size=40, max_size=80))
@settings(max_examples=60, deadline=None)
def test_a_cut_falls_inside_a_silence_where_there_are_some(pauses: list[int]) -> None:
    positions = np.cumsum([pause + 130 for pause in pauses]).tolist()
    silent = [(position, position + 14) for position in positions]
    frames = positions[-1] + 100
    for cut in cuts(plan_chunks(frames, *spoken(frames, silent), PlanSettings())):
        assert any(first < cut < end for first, end in silent)


def test_without_silence_a_cut_falls_in_the_quietest_place() -> None:
    frames = 2_300
    energy = np.full(frames, SPEECH, np.float32)
    energy[1_170:1_176] = -45
    (cut,) = cuts(plan_chunks(frames, [], energy, PlanSettings()))
    assert 1_172 <= cut <= 1_174


def test_an_even_noise_is_cut_into_windows_that_are_used() -> None:
    frames = 81 * 8 + 72 * 14 * 8
    chunks = plan_chunks(frames, [], np.full(frames, SPEECH, np.float32), PlanSettings())
    assert all(last_window_fill(chunk.frames) > 0.5 for chunk in chunks)


@given(st.lists(st.integers(20, 90), min_size=60, max_size=90))
@settings(max_examples=60, deadline=None)
def test_no_last_window_is_mostly_wasted_where_silences_leave_a_choice(pauses: list[int]) -> None:
    positions = np.cumsum([pause + 40 for pause in pauses]).tolist()
    frames = positions[-1] + 40
    chunks = plan_chunks(frames, *spoken(frames, [(position, position + 20) for position in positions]), PlanSettings())
    assert all(last_window_fill(chunk.frames) >= 0.5 for chunk in chunks[:-1])
    assert len(chunks) == 1 or last_window_fill(chunks[-1].frames) >= 0.5


def test_lengths_are_balanced_instead_of_leaving_a_short_rest() -> None:
    frames = 25 * 45 * 4 + 200
    pauses = [(position, position + 20) for position in range(50, frames, 90)]
    lengths = [chunk.frames for chunk in plan_chunks(frames, *spoken(frames, pauses), PlanSettings())]
    assert len(lengths) == 4
    assert max(lengths) - min(lengths) <= 2 * 72


def test_a_wide_gap_between_silences_is_not_a_reason_to_cut_a_word() -> None:
    pauses = [(700, 720), (1_600, 1_620), (2_200, 2_220)]
    chunks = plan_chunks(3_000, *spoken(3_000, pauses), PlanSettings())
    assert all(any(first < cut < end for first, end in pauses) for cut in cuts(chunks))


def test_loudness_may_be_longer_or_shorter_than_the_video() -> None:
    for length in (2_990, 3_010):
        chunks = plan_chunks(3_000, [], np.full(length, SPEECH, np.float32), PlanSettings())
        assert sum(chunk.frames for chunk in chunks) == 3_000


def test_two_hours_are_planned_in_two_seconds() -> None:
    frames = 2 * 3600 * 25
    rng = np.random.default_rng(0)
    positions = np.cumsum(rng.integers(40, 120, frames // 80))
    pauses = [(int(position), int(position) + 18) for position in positions if position + 20 < frames]
    track = spoken(frames, pauses)
    for target in (10.0, 45.0, 600.0):
        started = time.process_time()
        plan_chunks(frames, *track, PlanSettings(target))
        assert time.process_time() - started < 2


def test_a_video_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        plan_chunks(0, [], np.zeros(0, np.float32), PlanSettings())


def test_jobs_start_in_order_on_the_first_free_gpu() -> None:
    assert makespan([3, 1, 2, 2], gpus=1) == 8
    assert makespan([3, 1, 2, 2], gpus=2) == 5
    assert makespan([3, 1, 2, 2], gpus=8) == 3
