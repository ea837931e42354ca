"""Consecutive windows: exact lengths, resuming, chained chunks, and memory that does not grow."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.worker.infinitetalk.conftest import TinyCodec, TinyStage
from torch import Tensor

from talkingvideo_worker.chunking.windows import window_lengths
from talkingvideo_worker.engines.infinitetalk import render_windows, window_spans
from talkingvideo_worker.engines.infinitetalk.pipeline import RenderedWindow, WindowSpan
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

Play = Callable[..., list[RenderedWindow]]


@pytest.fixture
def play(tiny_transformer: AudioWanTransformer3DModel) -> Play:
    def render(stage: TinyStage, spans: Iterable[WindowSpan], motion: Tensor | None = None) -> list[RenderedWindow]:
        windows = render_windows(tiny_transformer, stage.encoders, stage.settings, stage.material, tuple(spans), motion)
        return list(windows)

    return render


def video(windows: Iterable[RenderedWindow]) -> Tensor:
    return torch.cat([window.frames for window in windows], 1)


@pytest.mark.parametrize("frames", range(1, 401))
def test_spans_show_every_frame_once_and_stay_in_their_windows(frames: int) -> None:
    spans = window_spans(0, window_lengths(frames))
    assert len(spans) == 1 + max(0, -(-(frames - 81) // 72))
    shown = [span.start + span.overlap + i for span in spans for i in range(span.new)]
    assert shown == list(range(frames))
    assert all(span.overlap + span.new <= 81 for span in spans)
    assert [span.start for span in spans] == [72 * i for i in range(len(spans))]


@pytest.mark.parametrize("frames", [1, 2, 4, 5, 6, 8, 9, 10, 13, 14, 29, 30])
def test_the_video_has_exactly_the_requested_frames(play: Play, frames: int) -> None:
    stage = TinyStage(frames, window=9, motion=5)
    windows = play(stage, window_spans(0, window_lengths(frames, 9, 5), motion=5))
    assert video(windows).shape == (3, frames, 16, 16)


@given(frames=st.integers(1, 400), window=st.integers(1, 20), motion=st.integers(0, 19))
@settings(max_examples=200, deadline=None)
def test_spans_of_any_windows_show_every_frame_once(frames: int, window: int, motion: int) -> None:
    window, motion = 4 * window + 1, 4 * min(motion, window - 1) + 1
    spans = window_spans(0, window_lengths(frames, window, motion), motion=motion)
    assert [span.start + span.overlap + i for span in spans for i in range(span.new)] == list(range(frames))
    assert all(span.overlap + span.new <= window for span in spans)


def test_resuming_at_any_window_equals_an_uninterrupted_run(play: Play) -> None:
    stage = TinyStage(36, window=9, motion=5)
    spans = window_spans(0, window_lengths(36, 9, 5), motion=5)
    whole = play(stage, spans)
    assert len(spans) == 8
    for killed in range(1, len(spans)):
        before = play(stage, spans[:killed])
        kept = before[-1].motion.numpy().copy()
        after = play(TinyStage(36, window=9, motion=5), spans[killed:], torch.from_numpy(kept))
        assert torch.equal(video([*before, *after]), video(whole))


def test_chained_chunks_equal_one_streaming_run(play: Play) -> None:
    stage = TinyStage(33, window=9, motion=5)
    whole = video(play(stage, window_spans(0, window_lengths(33, 9, 5), motion=5)))
    first = play(stage, window_spans(0, (9, 4, 4), motion=5))
    second = play(stage, window_spans(17, (4, 4), first_index=3, motion=5, overlap=5), first[-1].motion)
    third = play(stage, window_spans(25, (4, 4), first_index=5, motion=5, overlap=5), second[-1].motion)
    assert torch.equal(video([*first, *second, *third]), whole)


def test_an_independent_chunk_starts_from_the_picture_with_its_own_audio(play: Play) -> None:
    stage = TinyStage(40, window=9, motion=5)
    whole = play(stage, window_spans(0, window_lengths(40, 9, 5), motion=5))
    later = play(stage, window_spans(20, (9, 4), first_index=3, motion=5))
    assert later[0].frames.shape[1] == 9
    assert torch.allclose(later[0].latents[:3, 0].tanh(), whole[0].latents[:3, 0].tanh())
    assert not torch.allclose(later[0].frames, whole[0].frames)


def test_a_window_with_an_overlap_needs_motion_latents(play: Play) -> None:
    with pytest.raises(ValueError, match="continues the previous one"):
        play(TinyStage(20, window=9, motion=5), window_spans(0, (9, 4), motion=5)[1:])


@pytest.mark.parametrize(("lengths", "motion", "problem"), [((9, 4), 1, "shares 1 frames"), ((10,), 5, "10 frames")])
def test_windows_that_do_not_fit_the_settings_are_refused(
    play: Play, lengths: tuple[int, ...], motion: int, problem: str
) -> None:
    with pytest.raises(ValueError, match=problem):
        play(TinyStage(20, window=9, motion=5), window_spans(0, lengths, motion=motion))


def test_a_picture_is_encoded_once_for_all_windows(play: Play) -> None:
    stage = TinyStage(36, window=9, motion=5)
    play(stage, window_spans(0, window_lengths(36, 9, 5), motion=5))
    assert len(stage.encoded_pictures) == 1


def test_memory_does_not_grow_with_the_length(tiny_transformer: AudioWanTransformer3DModel) -> None:
    stage = TinyStage(9 + 4 * 24, window=9, motion=5)
    spans = window_spans(0, window_lengths(stage.frames, 9, 5), motion=5)
    objects: dict[int, int] = {}
    tensors: dict[int, int] = {}
    tracemalloc.start()
    try:
        for window in render_windows(tiny_transformer, stage.encoders, stage.settings, stage.material, spans):
            if window.span.index in (4, 24):
                gc.collect()
                objects[window.span.index] = tracemalloc.get_traced_memory()[0]
                tensors[window.span.index] = _bytes_of_tensors()
    finally:
        tracemalloc.stop()
    assert tensors[24] == tensors[4]
    assert objects[24] - objects[4] < 100 * 1024


def _bytes_of_tensors() -> int:
    """Of all tensors alive: their memory is not Python's, and so not traced."""
    return sum(one.nbytes for one in gc.get_objects() if type(one) is Tensor)


def test_no_window_is_in_memory_while_the_next_is_rendered(tiny_transformer: AudioWanTransformer3DModel) -> None:
    """Frames of 81 pictures in float32 are 0.4 GB at 640x640 and 0.9 GB at 960x960."""
    stage = TinyStage(21, window=9, motion=5)
    spans = window_spans(0, window_lengths(21, 9, 5), motion=5)
    frames: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def stepped(_window: int, _step: int) -> None:
        alive.append(sum(one() is not None for one in frames))

    made = render_windows(
        tiny_transformer, stage.encoders, stage.settings, stage.material, spans, on_step=stepped, motion=None
    )
    gc.disable()  # what is only dropped by the collector is there until it runs
    try:
        for window in made:
            frames.append(weakref.ref(window.frames))
            del window
    finally:
        gc.enable()
    assert len(alive) == 2 * len(spans)
    assert not any(alive)


@pytest.mark.parametrize("first", [2, 5, 7])
def test_a_chunk_may_continue_after_a_shortened_window(play: Play, first: int) -> None:
    """The next window starts from the last frames that were shown, not from those that were thrown away."""
    stage = TinyStage(20, window=9, motion=5)
    cut = play(stage, window_spans(0, (first,), motion=5))[0]
    shown = torch.cat([cut.frames, play(stage, window_spans(0, (9,), motion=5))[0].frames[:, first:]], 1)
    end = max(first, 5)
    assert torch.equal(cut.motion, TinyCodec().encode(shown[:, end - 5 : end]))


@pytest.mark.parametrize(("window", "motion", "frames"), [(5, 1, 12), (81, 77, 90), (241, 9, 242), (9, 1, 17)])
def test_windows_of_every_permitted_length(play: Play, window: int, motion: int, frames: int) -> None:
    stage = TinyStage(frames, window=window, motion=motion)
    spans = window_spans(0, window_lengths(frames, window, motion), motion=motion)
    windows = play(stage, spans)
    assert video(windows).shape == (3, frames, 16, 16)
    assert {one.latents.shape[1] for one in windows} == {1 + (window - 1) // 4}
    assert {one.motion.shape[1] for one in windows} == {1 + (motion - 1) // 4}
    again = play(stage, spans[-1:], windows[-2].motion)
    assert torch.equal(again[0].frames, windows[-1].frames)
