"""The soundtrack of the finished video: the users' own recordings with unchanged timing, encoded once.

The recordings were decoded before, for ``engine_audio``. They are decoded again here: the samples of two hours of stereo
would take 2.8 GB of the pod's scratch volume per recording, and decoding takes a tenth of the time of encoding (300 s of
MP3: 0.4 s of 9 s).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.filter import Graph

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.media.audio_decoder import AudioDecoder, Block, open_audio, samples_of
from talkingvideo_worker.media.engine_audio import round_half_up
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.media.loudness import CEILING_DBTP, measure

AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sampling rates of AAC up to 48 kHz (ISO/IEC 14496-3, table 1.18)."""

BITS_PER_SAMPLE = 6
"""Most bits of an AAC frame, per sample and channel (ISO/IEC 14496-3, 4.5.1)."""

BITS_PER_SECOND = 96_000
"""Per channel: transparent for speech."""

MIXED_AT_ONCE = 4_096
"""Samples."""


@dataclass(frozen=True)
class TimedRecording:
    """A recording and its start in the video.

    Attributes:
        path: Untrusted content.
        field: The field that named it, for errors.
        start: Seconds of silence before it.
    """

    path: Path
    field: str
    start: Fraction = Fraction(0)


@dataclass(frozen=True)
class Soundtrack:
    """An encoded soundtrack.

    Attributes:
        rate: Sampling rate.
        channels: 1 or 2.
        samples: Samples per channel.
        gain: Decibels that were applied to reach the target loudness; 0 without a target.
    """

    rate: int
    channels: int
    samples: int
    gain: float


def encode_soundtrack(
    sounds: Sequence[TimedRecording],
    out: Path,
    limits: InputLimits,
    target_lufs: float | None = None,
    seconds: Fraction | None = None,
) -> Soundtrack:
    """Encode the soundtrack as AAC in an ``.m4a``.

    A single recording keeps its own sampling rate (48 kHz at most). Several are mixed, with a limiter against clipping.
    The edit list skips the encoder's priming, so that sample 0 of the recording is at time 0.

    Args:
        sounds: One or more recordings.
        out: The file.
        limits: ``seconds`` is enforced while decoding.
        target_lufs: Target loudness, reached with one constant gain that keeps true peaks below -1 dBTP; the recordings'
            own loudness when absent.
        seconds: Duration to cut or pad to; the recordings' own when absent.

    Raises:
        StageError: E_INPUT_VALIDATION for unusable recordings, E_FFMPEG when the encoder fails.
    """
    gain = 0.0
    if target_lufs is not None:
        with ExitStack() as opened:
            mix = _Mix(sounds, limits, seconds, opened)
            gain = measure(mix.blocks(), mix.rate, mix.channels).gain_to(target_lufs)
    with ExitStack() as opened:
        mix = _Mix(sounds, limits, seconds, opened)
        blocks = mix.blocks() if seconds is None else _cut(mix.blocks(), round_half_up(seconds * mix.rate))
        samples = _encode(blocks, out, mix.rate, mix.channels, 10 ** (gain / 20))
    return Soundtrack(mix.rate, mix.channels, samples, gain)


def soundtrack_rate(rates: Sequence[int]) -> int:
    """Sampling rate of the soundtrack: the highest of its sources, or the next one that AAC supports, 48 kHz at most."""
    highest = max(rates)
    if highest > AAC_RATES[-1]:
        return 44_100 if highest % 44_100 == 0 else 48_000
    return next(rate for rate in AAC_RATES if rate >= highest)


class _Mix:
    """The mix of all recordings.

    Attributes:
        rate: Sampling rate.
        channels: 2 if any recording has two, otherwise 1.
    """

    def __init__(
        self, sounds: Sequence[TimedRecording], limits: InputLimits, seconds: Fraction | None, opened: ExitStack
    ) -> None:
        sources = [opened.enter_context(open_audio(sound.path, limits, sound.field)) for sound in sounds]
        self.rate = soundtrack_rate([source.rate for source in sources])
        self.channels = max(source.channels for source in sources)
        self._samples = None if seconds is None else round_half_up(seconds * self.rate)
        self._inputs = [
            _MixInput(source, round_half_up(sound.start * self.rate), self.rate, self.channels)
            for source, sound in zip(sources, sounds, strict=True)
        ]

    def blocks(self) -> Iterator[Block]:
        """Samples of the whole soundtrack."""
        blocks = self._inputs[0].blocks() if len(self._inputs) == 1 else _limited(self._sum(), self.rate, self.channels)
        return blocks if self._samples is None else _fit_length(blocks, self._samples, self.channels)

    def _sum(self) -> Iterator[Block]:
        readers = [_reader(part.blocks(), self.channels) for part in self._inputs]
        while True:
            blocks = [read(MIXED_AT_ONCE) for read in readers]
            longest = max(block.shape[1] for block in blocks)
            if not longest:
                return
            mixed = np.zeros((self.channels, longest), np.float32)
            for block in blocks:
                mixed[:, : block.shape[1]] += block
            yield mixed


class _MixInput:
    """A recording at the rate and with the channels of the mix, with the silence before it."""

    def __init__(self, source: AudioDecoder, before: int, rate: int, channels: int) -> None:
        self._source = source
        self._before = before
        self._rate = rate
        self._channels = channels

    def blocks(self) -> Iterator[Block]:
        for start in range(0, self._before, MIXED_AT_ONCE):
            yield np.zeros((self._channels, min(MIXED_AT_ONCE, self._before - start)), np.float32)
        for block in self._at_rate():
            yield np.repeat(block, self._channels // block.shape[0], axis=0)

    def _at_rate(self) -> Iterator[Block]:
        """The recording at the rate of the mix, with its duration kept to the sample."""
        if self._source.rate == self._rate:
            yield from self._source.blocks()
            return
        layout = _layout(self._source.channels)
        resampler = AudioResampler("fltp", layout, self._rate)
        made = 0
        for block in self._source.blocks():
            for part in resampler.resample(_frame(block, layout, self._source.rate)):
                made += part.samples
                yield samples_of(part)
        missing = round_half_up(Fraction(self._source.samples * self._rate, self._source.rate)) - made
        rest = [samples_of(part) for part in resampler.resample(None)]
        tail = np.concatenate([*rest, np.zeros((self._source.channels, missing), np.float32)], axis=1)
        yield tail[:, :missing]


def _fit_length(blocks: Iterator[Block], samples: int, channels: int) -> Iterator[Block]:
    """Cut a stream to a length, or pad it with silence."""
    left = samples
    for block in _cut(blocks, samples):
        yield block
        left -= block.shape[1]
    for start in range(0, left, MIXED_AT_ONCE):
        yield np.zeros((channels, min(MIXED_AT_ONCE, left - start)), np.float32)


def _reader(blocks: Iterator[Block], channels: int) -> Callable[[int], Block]:
    """A function that reads a number of samples from blocks of any length; fewer at the end."""
    left = np.zeros((channels, 0), np.float32)

    def read(count: int) -> Block:
        nonlocal left
        parts, have = [left], left.shape[1]
        while have < count and (block := next(blocks, None)) is not None:
            parts.append(block)
            have += block.shape[1]
        joined = np.concatenate(parts, axis=1)
        left = joined[:, count:]
        return joined[:, :count]

    return read


def _cut(blocks: Iterator[Block], samples: int) -> Iterator[Block]:
    """The first samples of a stream."""
    left = samples
    for block in blocks:
        yield block[:, :left]
        left -= block.shape[1]
        if left <= 0:
            return


def _limited(blocks: Iterator[Block], rate: int, channels: int) -> Iterator[Block]:
    """Limit the mix to the ceiling with FFmpeg's look-ahead limiter; its delay is compensated."""
    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout=_layout(channels), time_base=Fraction(1, rate))
    limiter = graph.add("alimiter", f"limit={10 ** (CEILING_DBTP / 20):.4f}:level=0:latency=1")
    to_float = graph.add("aformat", "sample_fmts=fltp")
    graph.link_nodes(source, limiter, to_float, graph.add("abuffersink")).configure()
    pushed = 0
    for block in blocks:
        frame = _frame(block, _layout(channels), rate)
        frame.pts, pushed = pushed, pushed + block.shape[1]
        graph.push(frame)
        yield from _pulled(graph)
    graph.push(None)
    yield from _pulled(graph)


def _pulled(graph: Graph) -> Iterator[Block]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        assert isinstance(frame, AudioFrame)  # narrows the type
        yield samples_of(frame)


def _encode(blocks: Iterator[Block], out: Path, rate: int, channels: int, gain: float) -> int:
    """Write the file and return its samples per channel.

    The movie timescale is the sampling rate: with the muxer's default of milliseconds the edit list would cut up to 1 ms.
    """
    options = {"movie_timescale": str(rate), "movflags": "+faststart"}
    samples = 0
    with (
        ffmpeg_failures("Encoding the sound"),
        atomic_write(out) as unfinished,
        av.open(unfinished.absolute().as_posix(), "w", format="ipod", options=options) as container,
    ):
        stream = container.add_stream("aac", rate=rate, layout=_layout(channels))
        stream.bit_rate = channels * min(BITS_PER_SECOND, BITS_PER_SAMPLE * rate)
        for block in blocks:
            frame = _frame(block * np.float32(gain), _layout(channels), rate)
            frame.pts, samples = samples, samples + block.shape[1]
            container.mux(stream.encode(frame))
        if not samples:
            raise StageError(ErrorCode.FFMPEG, "A soundtrack without sound was requested.")
        container.mux(stream.encode(None))
    return samples


def _frame(block: Block, layout: str, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), "fltp", layout)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    return frame


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
