"""When each speaker is heard, and the track of one speaker over the whole video."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np

from talkingvideo_api.spec import Arrangement
from talkingvideo_worker.media.sound import round_half_up
from talkingvideo_worker.media.wav import BLOCK, Samples, WavWriter, count_samples, sample_blocks
from talkingvideo_worker.units import SAMPLE_RATE


def starts(arrangement: Arrangement, durations: Sequence[Fraction]) -> tuple[Fraction, ...]:
    """When each sound begins, in seconds.

    Args:
        arrangement: Together, or one after the other.
        durations: Seconds of each.
    """
    if arrangement is Arrangement.PARALLEL:
        return tuple(Fraction(0) for _ in durations)
    return tuple(accumulate(durations[:-1], initial=Fraction(0)))


def whole_duration(arrangement: Arrangement, durations: Sequence[Fraction]) -> Fraction:
    """Seconds from the first sound's begin to the last one's end."""
    begins = starts(arrangement, durations)
    return max(begin + duration for begin, duration in zip(begins, durations, strict=True))


def place(path: Path, out: Path, start: Fraction, duration: Fraction) -> None:
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
