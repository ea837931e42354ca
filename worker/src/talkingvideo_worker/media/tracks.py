"""The track of one speaker over the whole video: padded with silence, or cut out of a recording of several people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.spec import Arrangement
from talkingvideo_worker.media.engine_audio import round_half_up
from talkingvideo_worker.media.wav import BLOCK, Samples, WavWriter, count_samples, sample_blocks, wav_rate
from talkingvideo_worker.units import SAMPLE_RATE


def start_times(arrangement: Arrangement, durations: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """Start of each recording, in seconds.

    Args:
        arrangement: In parallel or in sequence.
        durations: Seconds of each.
    """
    if arrangement is Arrangement.PARALLEL:
        return tuple(Fraction(0) for _ in durations)
    return tuple(accumulate(durations[:-1], initial=Fraction(0)))


def total_duration(arrangement: Arrangement, durations: Sequence[Fraction]) -> Fraction:
    """Seconds from the start of the first recording to the end of the last."""
    begins = start_times(arrangement, durations)
    return max(begin + duration for begin, duration in zip(begins, durations, strict=True))


def pad_track(path: Path, out: Path, start: Fraction, duration: Fraction) -> None:
    """Write a speaker's track over the whole video: the sound with silence before and after it.

    Args:
        path: The sound, 16 kHz mono 16-bit WAV.
        out: The track, in the same format.
        start: Seconds of silence before the sound.
        duration: Seconds of the whole track. The sound is never cut, should it end later because of rounding to samples.
    """
    before = round_half_up(start * SAMPLE_RATE)
    behind = round_half_up(duration * SAMPLE_RATE) - before - count_samples(path)
    with WavWriter(out, SAMPLE_RATE) as wav:
        for blocks in (_silence(before), sample_blocks(path), _silence(behind)):
            for block in blocks:
                wav.write(block)


def _silence(samples: int) -> Iterator[Samples]:
    for start in range(0, samples, BLOCK):
        yield np.zeros(min(BLOCK, samples - start), np.int16)


Span = tuple[float, float]
"""Start and end in seconds."""

FADE_SECONDS = 0.010
"""Fade at both ends of a span, within it: long enough to avoid clicks, too short to be heard as a fade."""


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Sort spans and merge those that touch or overlap, so that nothing fades between them."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return tuple(result)


def mute_outside(path: Path, out: Path, spans: Sequence[Span]) -> None:
    """Write a sound unchanged within some spans and silent outside them.

    Args:
        path: Mono 16-bit WAV.
        out: The result, of the same length and rate.
        spans: As ``merge_spans`` returns them.
    """
    rate = wav_rate(path)
    with WavWriter(out, rate) as wav:
        for block in sample_blocks(path):
            seconds = (wav.samples + np.arange(len(block))) / rate
            wav.write(np.round(block * _envelope(seconds, spans)).astype(np.int16))


def _envelope(seconds: NDArray[np.floating], spans: Sequence[Span]) -> NDArray[np.floating]:
    """Gain at ascending times: 0..1."""
    envelope = np.zeros(len(seconds))
    for start, end in spans:
        if end > seconds[0] and start <= seconds[-1]:
            nearest_edge = np.minimum(seconds - start, end - seconds)
            envelope = np.maximum(envelope, np.clip(nearest_edge / FADE_SECONDS, 0, 1))
    return envelope
