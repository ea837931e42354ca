"""One recording of several people, cut down to what one of them says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from talkingvideo_worker.media.tracks import FADE_SECONDS, merge_spans, mute_outside
from talkingvideo_worker.media.wav import BLOCK, Samples, WavWriter, count_samples, read_samples

RATE = 16_000
LEVEL = 10_000


def constant(path: Path, samples: int) -> Path:
    with WavWriter(path, RATE) as wav:
        wav.write(np.full(samples, LEVEL, np.int16))
    return path


def gated(folder: Path, samples: int, *spans: tuple[float, float]) -> Samples:
    mute_outside(constant(folder / "in.wav", samples), folder / "out.wav", merge_spans(spans))
    assert count_samples(folder / "out.wav") == samples
    return read_samples(folder / "out.wav", 0, samples)


def test_inside_a_span_is_the_sound_and_outside_is_silence(tmp_path: Path) -> None:
    heard, fade = gated(tmp_path, 3 * RATE, (0.5, 1.0), (2.0, 2.5)), round(FADE_SECONDS * RATE)
    for start, end in ((0.5, 1.0), (2.0, 2.5)):
        first, last = round(start * RATE), round(end * RATE)
        assert (heard[first + fade : last - fade] == LEVEL).all()
        assert not heard[last:][: RATE // 2].any()
    assert not heard[: RATE // 2].any()


def test_edges_fade_within_ten_milliseconds_and_never_jump(tmp_path: Path) -> None:
    heard = gated(tmp_path, RATE, (0.25, 0.75)).astype(int)
    assert np.abs(np.diff(heard)).max() <= 1.1 * LEVEL / (FADE_SECONDS * RATE)
    assert (heard[4_000:4_160] < LEVEL).all()
    assert heard[4_080] == LEVEL // 2


def test_spans_that_touch_or_overlap_are_one(tmp_path: Path) -> None:
    assert merge_spans([(2, 3), (0, 1), (1, 1.5), (1.2, 1.3)]) == ((0, 1.5), (2, 3))
    heard = gated(tmp_path, RATE, (0.2, 0.5), (0.5, 0.8), (0.4, 0.6))
    assert (heard[round(0.25 * RATE) : round(0.75 * RATE)] == LEVEL).all()


@pytest.mark.parametrize("start", [0.0, (BLOCK - 100) / RATE, BLOCK / RATE])
def test_block_boundaries_make_no_difference(tmp_path: Path, start: float) -> None:
    heard = gated(tmp_path, 2 * BLOCK + 50, (start, start + 1.0))
    assert np.count_nonzero(heard) == pytest.approx(RATE, abs=2)


def test_without_spans_the_track_is_silent(tmp_path: Path) -> None:
    assert not gated(tmp_path, RATE).any()
