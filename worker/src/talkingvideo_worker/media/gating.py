"""One recording of several people, cut down to what one of them says."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_worker.media.wav import WavWriter, sample_blocks, wav_rate

Span = tuple[float, float]
"""Begin and end in seconds."""

FADE_SECONDS = 0.010
"""At both edges of a span, inside it: long enough that nothing clicks, too short to be heard as a fade."""


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Spans in order; those that touch or overlap become one, so that nothing fades between them."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(result[-1][1], end))
        else:
            result.append((start, end))
    return tuple(result)


def gate(path: Path, out: Path, spans: Sequence[Span]) -> None:
    """Write a sound as it is inside some spans, and silent elsewhere.

    Args:
        path: Mono 16-bit WAV.
        out: The same length and rate.
        spans: As ``merged`` returns them.
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
