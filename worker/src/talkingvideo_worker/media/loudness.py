"""Loudness according to EBU R 128, measured with FFmpeg's ``ebur128`` filter."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

from talkingvideo_worker.media.audio_decoder import Block
from talkingvideo_worker.media.wav import WavWriter, sample_blocks, wav_rate

MODEL_LUFS = -23.0
"""LUFS that the speech model expects: the target level of EBU R 128."""

CEILING_DBTP = -1.0
"""Highest true peak after a gain (EBU R 128, recommendation m)."""

ABSOLUTE_GATE_LUFS = -70.0
"""Quieter sound is silence (ITU-R BS.1770-5, 5.1)."""

MIN_SECONDS = 0.4
"""Seconds: the length of one gating block. Shorter sound has no integrated loudness."""


@dataclass(frozen=True)
class Loudness:
    """A measurement.

    Attributes:
        integrated: Integrated loudness in LUFS; None for silence and for less than 0.4 s.
        true_peak: dBTP; -inf for silence.
    """

    integrated: float | None
    true_peak: float

    def gain_to(self, target: float, ceiling: float = CEILING_DBTP) -> float:
        """Gain in decibels to a target loudness that keeps the true peak below the ceiling.

        Sound above the target is always attenuated by the full difference. 0 where there is no loudness.
        """
        if self.integrated is None:
            return 0.0
        return min(target - self.integrated, ceiling - self.true_peak)


def measure(blocks: Iterable[Block], rate: int, channels: int) -> Loudness:
    """Measure a stream of samples.

    Args:
        blocks: (channels, n) each.
        rate: Samples per second.
        channels: 1 or 2.
    """
    meter = _Meter(rate, channels)
    for block in blocks:
        meter.push(block)
    return meter.result()


def measure_wav(path: Path) -> Loudness:
    """Measure a mono 16-bit WAV."""
    return measure(_floats(path), wav_rate(path), 1)


def normalise_loudness(path: Path, out: Path, target: float = MODEL_LUFS) -> Loudness:
    """Normalise a mono 16-bit WAV to a loudness with one constant gain.

    Args:
        path: The sound.
        out: The normalised sound, with the same number of samples.
        target: LUFS.

    Returns:
        The loudness before. Sound without a loudness (silence, less than 0.4 s) is copied.
    """
    measured = measure_wav(path)
    decibels = measured.gain_to(target)
    with WavWriter(out, wav_rate(path)) as wav:
        for block in sample_blocks(path):
            wav.write(amplified(block, decibels))
    return measured


def amplified(samples: NDArray[np.int16], decibels: float) -> NDArray[np.int16]:
    """Apply a gain, and clip samples to 16 bits."""
    louder = np.clip(np.rint(samples * 10 ** (decibels / 20)), -32_768, 32_767)
    return np.asarray(louder, np.int16)


def _floats(path: Path) -> Iterator[Block]:
    for block in sample_blocks(path):
        yield block.astype(np.float32)[None] / np.float32(32_768)


class _Meter:
    """FFmpeg's filter. Each frame that comes out carries the results so far as metadata."""

    def __init__(self, rate: int, channels: int) -> None:
        self._layout = "mono" if channels == 1 else "stereo"
        self._rate = rate
        self._samples = 0
        self._peak = 0.0
        self._results: dict[str, str] = {}
        self._graph = Graph()
        source = self._graph.add_abuffer(
            sample_rate=rate, format="fltp", layout=self._layout, time_base=Fraction(1, rate)
        )
        filter_ = self._graph.add("ebur128", "metadata=1:peak=true")
        self._graph.link_nodes(source, filter_, self._graph.add("abuffersink")).configure()

    def push(self, block: Block) -> None:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(block), "fltp", self._layout)
        frame.sample_rate, frame.pts, frame.time_base = self._rate, self._samples, Fraction(1, self._rate)
        self._samples += block.shape[1]
        self._peak = max(self._peak, float(np.abs(block).max(initial=0.0)))
        self._graph.push(frame)
        self._drain()

    def result(self) -> Loudness:
        self._graph.push(None)
        self._drain()
        integrated = float(self._results.get("lavfi.r128.I", "nan"))
        audible = self._samples >= MIN_SECONDS * self._rate and integrated > ABSOLUTE_GATE_LUFS
        peak = max(self._peak, float(self._results.get("lavfi.r128.true_peak", "0")))
        return Loudness(integrated if audible else None, 20 * math.log10(peak) if peak > 0 else -math.inf)

    def _drain(self) -> None:
        while True:
            try:
                self._results = self._graph.pull().metadata or self._results
            except (av.error.BlockingIOError, av.error.EOFError):
                return
