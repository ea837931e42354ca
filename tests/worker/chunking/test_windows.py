import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worker.chunking.fill import last_window_fill

from talkingvideo_worker.chunking.windows import window_lengths


@pytest.mark.parametrize(
    ("frames", "lengths"),
    [(1, (1,)), (81, (81,)), (82, (81, 1)), (153, (81, 72)), (154, (81, 72, 1)), (250, (81, 72, 72, 25))],
)
def test_the_first_window_has_81_new_frames_and_each_further_one_72(frames: int, lengths: tuple[int, ...]) -> None:
    assert window_lengths(frames) == lengths


@given(frames=st.integers(1, 200_000), window=st.integers(1, 200), motion=st.integers(0, 100))
def test_windows_cover_the_chunk_and_only_the_last_is_partial(frames: int, window: int, motion: int) -> None:
    motion = min(motion, window - 1)
    lengths = window_lengths(frames, window, motion)
    assert sum(lengths) == frames
    assert all(length == window - motion for length in lengths[1:-1])
    assert len(lengths) == 1 or lengths[0] == window
    assert 0 < last_window_fill(frames, window, motion) <= 1


def test_half_used_last_windows_are_measured_by_their_new_frames() -> None:
    assert last_window_fill(81 + 36) == 0.5
    assert last_window_fill(27) == pytest.approx(1 / 3)


@pytest.mark.parametrize(("frames", "window", "motion"), [(0, 81, 9), (10, 9, 9), (10, 9, -1)])
def test_impossible_windows_are_refused(frames: int, window: int, motion: int) -> None:
    with pytest.raises(ValueError, match="no windows"):
        window_lengths(frames, window, motion)
