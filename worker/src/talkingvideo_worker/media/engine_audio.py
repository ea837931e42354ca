"""The audio that engines get: 16 kHz, mono, 16-bit, with the length of the source to the sample."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.audio_decoder import Block, open_audio
from talkingvideo_worker.media.wav import Samples, WavWriter
from talkingvideo_worker.units import FRAME_RATE, SAMPLE_RATE

SILENCE_PEAK = 1e-3
"""Peak (-60 dB) below which the report calls a sound silent."""


@dataclass(frozen=True)
class EngineAudio:
    """A speaker's engine audio and its source.

    Attributes:
        samples_in: Samples per channel of the source.
        rate_in: Sampling rate of the source.
        channels: Channels of the source: 1, or 2 for two and more.
        samples: Samples of the 16 kHz file.
        warnings: Sentences about the source, for the report.
    """

    samples_in: int
    rate_in: int
    channels: int
    samples: int
    warnings: tuple[str, ...] = ()

    @property
    def duration(self) -> Fraction:
        """Seconds, exactly."""
        return Fraction(self.samples_in, self.rate_in)

    @property
    def duration_seconds(self) -> float:
        """Seconds."""
        return float(self.duration)

    @property
    def frames(self) -> int:
        """Frames of a video with this sound."""
        return frames_of(self.duration)


def frames_of(duration: Fraction) -> int:
    """Frames of a video of this duration, rounded to the nearest (halves up), at least 1."""
    return max(1, round_half_up(duration * FRAME_RATE))


def write_engine_audio(path: Path, out: Path, limits: InputLimits, field: str) -> EngineAudio:
    """Convert any sound, or the sound of any video, to engine audio.

    Args:
        path: Untrusted content.
        out: The WAV to write.
        limits: ``seconds`` is enforced while decoding.
        field: The field that named the file, for errors.

    Returns:
        The result and its source.

    Raises:
        StageError: E_INPUT_VALIDATION when the file contains no usable sound.
    """
    peak = 0.0
    with open_audio(path, limits, field) as source, WavWriter(out, SAMPLE_RATE) as wav:
        resampler = _Resampler(source.rate)
        for block in source.blocks():
            mono = block.mean(axis=0, dtype=np.float32)
            peak = max(peak, float(np.abs(mono).max()))
            wav.write(resampler.push(mono))
        samples = round_half_up(Fraction(source.samples * SAMPLE_RATE, source.rate))
        if not samples:
            raise StageError.invalid(f"The sound is too short: {_count(source.samples)} at {source.rate} Hz.", field)
        wav.write(_exactly(resampler.rest(), samples - wav.samples))
    warnings = [*source.warnings, *(["The sound is silent."] if peak < SILENCE_PEAK else [])]
    return EngineAudio(source.samples, source.rate, source.channels, samples, tuple(warnings))


def round_half_up(value: Fraction) -> int:
    """Round to the nearest integer, halves up, unlike Python's ``round``."""
    return int(value + Fraction(1, 2))


def _count(samples: int) -> str:
    return "1 sample" if samples == 1 else f"{samples} samples"


def _exactly(samples: Samples, count: int) -> Samples:
    """The first ``count`` samples, padded with zeros."""
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


class _Resampler:
    """Resamples mono float samples to 16 kHz 16-bit, block by block, without delay: FFmpeg's filter is centred."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler = AudioResampler("s16", "mono", SAMPLE_RATE)

    def push(self, mono: Block) -> Samples:
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(mono[None]), "fltp", "mono")
        frame.sample_rate = self._rate
        return self._joined(frame)

    def rest(self) -> Samples:
        """The samples that the filter still holds."""
        return self._joined(None)

    def _joined(self, frame: AudioFrame | None) -> Samples:
        parts = [part.to_ndarray()[0] for part in self._resampler.resample(frame)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)
