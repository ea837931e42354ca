"""The sound of the finished video: the users' own recordings, untouched in timing, encoded once."""

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
from talkingvideo_worker.files import whole_file
from talkingvideo_worker.media.audio_decoder import AudioDecoder, Block, open_audio, samples_of
from talkingvideo_worker.media.engine_audio import round_half_up
from talkingvideo_worker.media.ffmpeg import ffmpeg_failures
from talkingvideo_worker.media.loudness import CEILING_DBTP, measure

AAC_RATES = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Sampling rates of AAC up to 48 kHz (ISO/IEC 14496-3, table 1.18)."""

BITS_PER_SAMPLE = 6
"""What AAC allows at most in a frame, per sample and channel (ISO/IEC 14496-3, 4.5.1)."""

BITS_PER_SECOND = 96_000
"""Per channel: transparent for speech."""

MIXED_AT_ONCE = 4_096
"""Samples."""


@dataclass(frozen=True)
class TimedRecording:
    """A recording and when it is heard.

    Attributes:
        path: Content from anywhere.
        field: The field that named it, for errors.
        start: Seconds of silence before it.
    """

    path: Path
    field: str
    start: Fraction = Fraction(0)


@dataclass(frozen=True)
class Soundtrack:
    """What was encoded.

    Attributes:
        rate: Samples per second.
        channels: 1 or 2.
        samples: Per channel.
        gain: Decibels that the loudness asked for; 0 without one.
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
    """Encode the sound track as AAC in an ``.m4a``.

    One recording goes to the encoder as it was decoded, at its own rate (48 kHz at most). Several are added, with a
    limiter for where they are too loud together. The encoder's priming is in the edit list, so that sample 0 of the
    recording is heard at time 0.

    Args:
        sounds: One or more recordings.
        out: The file.
        limits: ``seconds`` is enforced while decoding.
        target_lufs: Loudness to bring the track to, by one constant gain that keeps true peaks below -1 dBTP; the
            recordings' own when absent.
        seconds: Where to cut the track, for a video that is cut on purpose; all of it when absent.

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
    """Samples per second of the track: the highest of the sources', or what AAC has above it, 48 kHz at most."""
    highest = max(rates)
    if highest > AAC_RATES[-1]:
        return 44_100 if highest % 44_100 == 0 else 48_000
    return next(rate for rate in AAC_RATES if rate >= highest)


class _Mix:
    """Recordings at their places, added.

    Attributes:
        rate: Samples per second.
        channels: 1, or 2 where one of the recordings has two.
    """

    def __init__(
        self, sounds: Sequence[TimedRecording], limits: InputLimits, seconds: Fraction | None, opened: ExitStack
    ) -> None:
        sources = [opened.enter_context(open_audio(sound.path, limits, sound.field)) for sound in sounds]
        self.rate = soundtrack_rate([source.rate for source in sources])
        self.channels = max(source.channels for source in sources)
        self._samples = None if seconds is None else round_half_up(seconds * self.rate)
        self._parts = [
            _Part(source, round_half_up(sound.start * self.rate), self.rate, self.channels)
            for source, sound in zip(sources, sounds, strict=True)
        ]

    def blocks(self) -> Iterator[Block]:
        """Samples of the whole track."""
        alone = len(self._parts) == 1
        blocks = self._parts[0].blocks() if alone else _limited(self._added(), self.rate, self.channels)
        return blocks if self._samples is None else _of_length(blocks, self._samples, self.channels)

    def _added(self) -> Iterator[Block]:
        readers = [_reader(part.blocks(), self.channels) for part in self._parts]
        while True:
            blocks = [read(MIXED_AT_ONCE) for read in readers]
            longest = max(block.shape[1] for block in blocks)
            if not longest:
                return
            mixed = np.zeros((self.channels, longest), np.float32)
            for block in blocks:
                mixed[:, : block.shape[1]] += block
            yield mixed


class _Part:
    """One recording in the form of the track, with the silence before it."""

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
        """The recording at the track's rate, as long as it was to the sample."""
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


def _of_length(blocks: Iterator[Block], samples: int, channels: int) -> Iterator[Block]:
    """Cut a stream at a length, or fill it up with silence."""
    left = samples
    for block in _cut(blocks, samples):
        yield block
        left -= block.shape[1]
    for start in range(0, left, MIXED_AT_ONCE):
        yield np.zeros((channels, min(MIXED_AT_ONCE, left - start)), np.float32)


def _reader(blocks: Iterator[Block], channels: int) -> Callable[[int], Block]:
    """Turn blocks of any length into a function that returns as many samples as asked for, fewer at the end."""
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
    """The first samples of a track."""
    left = samples
    for block in blocks:
        yield block[:, :left]
        left -= block.shape[1]
        if left <= 0:
            return


def _limited(blocks: Iterator[Block], rate: int, channels: int) -> Iterator[Block]:
    """Turn down where the mix would be above the ceiling, with FFmpeg's look-ahead limiter; its delay is taken out."""
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
    """Write the file; returns samples per channel.

    The movie's clock ticks in samples: in the muxer's default of milliseconds the edit list would cut up to 1 ms.
    """
    options = {"movie_timescale": str(rate), "movflags": "+faststart"}
    samples = 0
    with (
        ffmpeg_failures("Encoding the sound"),
        whole_file(out) as unfinished,
        av.open(unfinished.absolute().as_posix(), "w", format="ipod", options=options) as container,
    ):
        stream = container.add_stream("aac", rate=rate, layout=_layout(channels))
        stream.bit_rate = channels * min(BITS_PER_SECOND, BITS_PER_SAMPLE * rate)
        for block in blocks:
            frame = _frame(block * np.float32(gain), _layout(channels), rate)
            frame.pts, samples = samples, samples + block.shape[1]
            container.mux(stream.encode(frame))
        if not samples:
            raise StageError(ErrorCode.FFMPEG, "A sound track without sound was asked for.")
        container.mux(stream.encode(None))
    return samples


def _frame(block: Block, layout: str, rate: int) -> AudioFrame:
    frame = AudioFrame.from_ndarray(np.ascontiguousarray(block, np.float32), "fltp", layout)
    frame.sample_rate = rate
    frame.time_base = Fraction(1, rate)
    return frame


def _layout(channels: int) -> str:
    return "mono" if channels == 1 else "stereo"
