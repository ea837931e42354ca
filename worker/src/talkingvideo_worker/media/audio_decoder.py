"""Decodes the sound of any file into a continuous stream of samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from numpy.typing import NDArray

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.ffmpeg import decode_stream, open_media, require_decoder

Block = NDArray[np.float32]
"""(channels, n): samples, ±1 is full scale."""

RATES = range(4_000, 768_001)
"""Valid sampling rates, in hertz."""

MIN_GAP = Fraction(1, 20)
"""Seconds: shorter gaps are rounding errors of containers with coarse clocks (Matroska and FLV: 1 ms)."""

MAX_GAP = 60
"""Seconds: a longer gap is a reset clock, not a pause."""

LOUDEST = 100.0
"""Amplitude (40 dB above full scale) to which samples are cut: floating-point files may hold infinity, or no number."""

GAPS_TOLERATED, GAPS_PER_SECOND = 60.0, 10.0
"""Seconds of all gaps, and for each second of sound: a hundred packets with damaged clocks would become hours of silence."""

PADDING_BLOCKS = 2
"""Blocks at the end of an MP4 that may hold encoder padding; the last one may be short."""

BLOCK_SAMPLES = 8_192
"""Samples of a block. Codecs' frames are shorter: in two hours of MP3 there are 275,000, and each costs some Python."""


class AudioDecoder:
    """Decodes the first audio stream of an open file.

    Encoder delay (priming) and padding are removed where the file states them: edit lists of MP4, Opus' pre-skip, LAME's
    header of MP3. Formats that cannot state them (AAC in ADTS, MPEG-TS, FLV or AVI) begin with 1,024 samples of near
    silence, as in every player.

    Time 0 is the file's first sound or picture. Sound that starts later than the picture gets silence in front, and
    pauses in streams with discontinuous transmission (browsers' recordings send nothing in silence) keep their length.

    Attributes:
        rate: Sampling rate of the source.
        channels: 1 or 2; more are mixed down to stereo.
        samples: Samples per channel so far; the total once `blocks` has ended.
        warnings: Sentences about the file, for the report.
    """

    def __init__(self, container: InputContainer, stream: AudioStream, limits: InputLimits, field: str) -> None:
        require_decoder(stream, field)
        self._container = container
        self._stream = stream
        self._limits = limits
        self._field = field
        self._origin = _origin(container, stream)
        self._gaps: list[Fraction] = []
        self.rate = stream.codec_context.sample_rate
        self.channels = min(2, stream.codec_context.channels)
        self.samples = 0
        self.warnings: list[str] = []
        if self.rate not in RATES or not self.channels:
            raise StageError.invalid("The sound has no valid sampling rate.", field)
        if stream.codec_context.channels > 2:
            self.warnings.append(f"The sound's {stream.codec_context.channels} channels were mixed down to stereo.")

    def blocks(self) -> Iterator[Block]:
        """Decode the sound; can be called once.

        Yields:
            Blocks of at least one sample.

        Raises:
            StageError: E_INPUT_VALIDATION when the sound is too long, damaged or empty.
        """
        longest = int(self._limits.seconds * self.rate)
        for block in self._without_padding(self._continuous()):
            self.samples += block.shape[1]
            if self.samples > longest:
                raise StageError.invalid(
                    f"The sound is longer than the limit of {self._limits.seconds:g} seconds.", self._field
                )
            yield block
        if self._gaps:
            gaps, seconds = len(self._gaps), float(sum(self._gaps))
            self.warnings.append(
                f"{gaps} gaps in the file's sound, {seconds:.2f} s in total, were filled with silence."
            )
        if not self.samples:
            raise StageError.invalid("The file has an audio stream without any sound.", self._field)

    def _continuous(self) -> Iterator[Block]:
        """Samples of all frames, with silence where no frame covers the time between them."""
        resampler: AudioResampler | None = None
        template: tuple[str, str, int] | None = None
        clock = self._origin
        decoded = 0.0

        def seconds() -> float:
            return decoded

        for frame in decode_stream(self._container, self._stream, self.warnings, self._field, seconds):
            if frame.sample_rate not in RATES:
                raise StageError.invalid("The sound has no valid sampling rate.", self._field)
            decoded += frame.samples / frame.sample_rate
            shape = (frame.format.name, frame.layout.name, frame.sample_rate)
            if shape != template:
                yield from _converted(resampler, None)
                resampler, template = self._converter(), shape
            time = None if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
            if time is not None and clock is not None and MIN_GAP < time - clock <= MAX_GAP:
                yield from _converted(resampler, None)
                resampler = self._converter()
                self._gaps.append(time - clock)
                self._check_gaps(decoded)
                yield from self._silence(time - clock)
            start = time if time is not None else clock
            clock = None if start is None else start + Fraction(frame.samples, frame.sample_rate)
            frame.pts = None
            yield from _converted(resampler, frame)
        yield from _converted(resampler, None)

    def _converter(self) -> AudioResampler:
        layout = "mono" if self.channels == 1 else "stereo"
        return AudioResampler("fltp", layout, self.rate, BLOCK_SAMPLES, options={"rematrix_maxval": "1.0"})

    def _check_gaps(self, decoded: float) -> None:
        gaps = float(sum(self._gaps))
        if gaps > GAPS_TOLERATED + GAPS_PER_SECOND * decoded:
            message = f"The file's sound is mostly missing: gaps of {gaps:.0f} s for {decoded:.0f} s of sound."
            raise StageError.invalid(message, self._field)

    def _silence(self, gap: Fraction) -> Iterator[Block]:
        missing = round(gap * self.rate)
        for start in range(0, missing, self.rate):
            yield np.zeros((self.channels, min(self.rate, missing - start)), np.float32)

    def _without_padding(self, blocks: Iterator[Block]) -> Iterator[Block]:
        """Remove the encoder padding at the end of an MP4, which FFmpeg reports but does not remove.

        The last blocks are held back until the end of the stream is known.
        """
        held: deque[Block] = deque()
        passed = 0
        for block in blocks:
            held.append(block)
            if len(held) > PADDING_BLOCKS:
                passed += held[0].shape[1]
                yield held.popleft()
        waiting = sum(block.shape[1] for block in held)
        padding = self._padding(passed + waiting)
        left = waiting - padding if padding < waiting else waiting
        for block in held:
            if left > 0:
                yield block[:, :left]
            left -= block.shape[1]

    def _padding(self, found: int) -> int:
        """Samples after the end that the file states."""
        stream, base = self._stream, self._stream.time_base
        if not self._container.format.name.startswith("mov") or not stream.duration or not base or self._origin is None:
            return 0
        end = ((stream.start_time or 0) + stream.duration) * base - self._origin
        return max(0, found - round(end * self.rate))


def _origin(container: InputContainer, sound: AudioStream) -> Fraction | None:
    """Time of the file's first sound or picture, in seconds of its own clock."""
    pictures = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    return min(
        (
            stream.start_time * stream.time_base
            for stream in (sound, *pictures)
            if stream.start_time is not None and stream.time_base
        ),
        default=None,
    )


def _converted(resampler: AudioResampler | None, frame: AudioFrame | None) -> Iterator[Block]:
    """Samples of a frame; with None, the samples that the resampler still holds."""
    for part in resampler.resample(frame) if resampler else ():
        if part is not None and part.samples:
            yield samples_of(part)


def samples_of(frame: AudioFrame) -> Block:
    """Samples of a frame of format ``fltp``, none of them infinite."""
    samples = np.nan_to_num(frame.to_ndarray(), nan=0.0, posinf=LOUDEST, neginf=-LOUDEST)
    return np.ascontiguousarray(samples.clip(-LOUDEST, LOUDEST), np.float32)


@contextmanager
def open_audio(path: Path, limits: InputLimits, field: str) -> Iterator[AudioDecoder]:
    """Open the first audio stream of a sound or video file.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    with open_media(path, field) as container:
        if not container.streams.audio:
            raise StageError.invalid("The file has no sound.", field)
        yield AudioDecoder(container, container.streams.audio[0], limits, field)
