"""The track of one speaker over the whole video: placed in time, or cut out of a recording of several people."""

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
    """When each sound begins, in seconds.

    Args:
        arrangement: Together, or one after the other.
        durations: Seconds of each.
    """
    if arrangement is Arrangement.PARALLEL:
        return tuple(Fraction(0) for _ in durations)
    return tuple(accumulate(durations[:-1], initial=Fraction(0)))


def total_duration(arrangement: Arrangement, durations: Sequence[Fraction]) -> Fraction:
    """Seconds from the first sound's begin to the last one's end."""
    begins = start_times(arrangement, durations)
    return max(begin + duration for begin, duration in zip(begins, durations, strict=True))


def pad_track(path: Path, out: Path, start: Fraction, duration: Fraction) -> None:
    """Write a speaker's track over the whole video: the sound at its place, silence around it.

    Args:
        path: The sound, 16 kHz mono 16-bit WAV.
        out: The track, of the same format.
        start: Seconds of silence before the sound.
        duration: Seconds of the whole track. Where rounding to samples leaves the sound's end behind it, the sound wins.
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
"""Begin and end in seconds."""

FADE_SECONDS = 0.010
"""At both edges of a span, inside it: long enough that nothing clicks, too short to be heard as a fade."""


def merge_spans(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order; those that touch or overlap become one, so that nothing fades between them."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return tuple(result)


def mute_outside(path: Path, out: Path, spans: Sequence[Span]) -> None:
    """Write a sound as it is inside some spans, and silent elsewhere.

    Args:
        path: Mono 16-bit WAV.
        out: The same length and rate.
        spans: As ``merge_spans`` returns them.
    """
    rate = wav_rate(path)
    with WavWriter(out, rate) as wav:
        for block in sample_blocks(path):
            seconds = (wav.samples + np.arange(len(block))) / rate
            wav.write(np.round(block * _openness(seconds, spans)).astype(np.int16))


def _openness(seconds: NDArray[np.floating], spans: Sequence[Span]) -> NDArray[np.floating]:
    """How much is let through at some ascending times: 0..1."""
    openness = np.zeros(len(seconds))
    for start, end in spans:
        if end > seconds[0] and start <= seconds[-1]:
            nearest_edge = np.minimum(seconds - start, end - seconds)
            openness = np.maximum(openness, np.clip(nearest_edge / FADE_SECONDS, 0, 1))
    return openness
