"""Checks of a finished video against what went into it, by an independent decoding."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import correlate

RATE = 48_000


def decoded_sound(path: Path, rate: int = RATE) -> NDArray[np.float64]:
    """The first audio stream as mono samples, as a player hears it (priming removed by the edit list)."""
    with av.open(str(path)) as file:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        pieces = [out.to_ndarray()[0] for frame in file.decode(audio=0) for out in resampler.resample(frame)]
        pieces += [out.to_ndarray()[0] for out in resampler.resample(None)]
    return np.concatenate(pieces).astype(np.float64)


def frames_for(sound: Path) -> int:
    """Frames that a video of this sound must have."""
    return max(1, int(25 * len(decoded_sound(sound)) / RATE + 0.5))


def assert_video_is_whole(path: Path, frames: int, width: int, height: int) -> None:
    """Exactly the frames, one video and one audio stream, 25 fps, starting at zero."""
    with av.open(str(path)) as file:
        (video,), (audio,) = file.streams.video, file.streams.audio
        assert (video.codec_context.name, audio.codec_context.name) == ("h264", "aac")
        assert (video.width, video.height) == (width, height)
        assert video.average_rate == 25
        times = [frame.time for frame in file.decode(video)]
    assert len(times) == frames
    assert np.allclose(times, np.arange(frames) / 25)


def assert_sound_is_the_input(path: Path, sound: Path) -> None:
    """The lag between result and input is 0 ± 1 ms at the start and at the end, and it is the same sound."""
    result, given = decoded_sound(path), decoded_sound(sound)
    assert abs(_declared_seconds(path) - len(given) / RATE) <= 0.001
    span = min(len(given), 4 * RATE)
    for start in (0, len(given) - span):
        mine, theirs = result[start : start + span], given[start : start + span]
        length = min(len(mine), len(theirs))
        mine, theirs = mine[:length], theirs[:length]
        products = correlate(mine, theirs, method="fft")
        lag = int(products.argmax()) - (length - 1)
        assert abs(lag) <= RATE / 1_000, f"{1_000 * lag / RATE:.2f} ms at {start / RATE:.1f} s"
        assert products.max() / np.sqrt((mine**2).sum() * (theirs**2).sum()) > 0.95


def _declared_seconds(path: Path) -> float:
    """Length of the sound by the file's edit list. (The last AAC frame holds more: players stop at the edit's end.)"""
    with av.open(str(path)) as file:
        (audio,) = file.streams.audio
        assert audio.duration is not None and audio.time_base is not None
        return float(audio.duration * audio.time_base)
