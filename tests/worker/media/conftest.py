"""Sound, pictures and videos generated for the tests: speech-like noise with a unique position, and numbered pictures."""

from __future__ import annotations

import wave
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.media.encoder import EncoderSettings, SegmentEncoder

Floats = NDArray[np.float32]

FIELD = "spec.speech.speakers[0].audio.uri"


@pytest.fixture
def limits() -> InputLimits:
    return InputLimits()


def speechlike(seconds: float, rate: int, seed: int = 0, channels: int = 1, level: float = 0.2) -> Floats:
    """Noise below 3 kHz with syllables: (channels, n). Never the same twice, so that a lag is found beyond doubt."""
    random = np.random.default_rng(seed)
    count = round(seconds * rate)
    spectrum = np.fft.rfft(random.standard_normal((channels, count)))
    spectrum[:, np.fft.rfftfreq(count, 1 / rate) > 3000] = 0
    noise = np.fft.irfft(spectrum, count)
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(count) / rate + 1)
    noise *= syllables / np.abs(noise).max()
    return (level * 4 * noise).clip(-1, 1).astype(np.float32)


def write_wav(path: Path, samples: Floats, rate: int) -> Path:
    """16-bit PCM, without any library that is tested here."""
    with wave.open(path.as_posix(), "wb") as file:
        file.setparams((len(samples), 2, rate, 0, "NONE", ""))
        file.writeframes(np.rint(samples.T * 32767).astype("<i2").tobytes())
    return path


def read_wav(path: Path) -> tuple[Floats, int]:
    with wave.open(path.as_posix(), "rb") as file:
        data = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
        return (data.T / 32768).astype(np.float32), file.getframerate()


def write_sound(
    path: Path,
    samples: Floats,
    rate: int,
    container: str,
    codec: str,
    options: dict[str, str] | None = None,
    gap: tuple[int, Fraction] = (0, Fraction(0)),
) -> Path:
    """Encode sound into a container by FFmpeg's names; ``gap`` says after how many samples nothing comes for how long."""
    layout = "mono" if len(samples) == 1 else "stereo"
    with av.open(path.as_posix(), "w", format=container, options=options or {}) as file:
        stream = file.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        assert isinstance(stream, AudioStream)
        stream.bit_rate = 64_000 * len(samples)
        _encode_sound(file, stream, samples, rate, layout, gap)
    return path


def _encode_sound(
    file: OutputContainer,
    stream: AudioStream,
    samples: Floats,
    rate: int,
    layout: str,
    gap: tuple[int, Fraction] = (0, Fraction(0)),
) -> None:
    formats = stream.codec_context.codec.audio_formats
    assert formats
    converter = AudioResampler(formats[0].name, layout, rate)
    after, length = gap

    def mux(frames: Sequence[AudioFrame | None]) -> None:
        for frame in frames:
            for packet in stream.encode(frame):
                if packet.pts is not None and packet.time_base and packet.pts * packet.time_base * rate >= after:
                    shift = int(length / packet.time_base)
                    packet.pts, packet.dts = packet.pts + shift, (packet.dts or packet.pts) + shift
                file.mux(packet)

    for start in range(0, samples.shape[1], 1000):
        frame = AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1000]), "fltp", layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        mux(converter.resample(frame))
    mux([part for part in converter.resample(None) if part is not None])
    mux([None])


def write_video(
    path: Path,
    pictures: Sequence[NDArray[np.uint8]],
    times: Sequence[Fraction],
    container: str = "mp4",
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    sound: Floats | None = None,
    options: dict[str, str] | None = None,
    base: Fraction = Fraction(1, 12_000),
    sound_start: Fraction = Fraction(0),
) -> Path:
    """Encode pictures to be shown at given times (seconds)."""
    height, width, _ = pictures[0].shape
    with av.open(path.as_posix(), "w", format=container) as file:
        stream = file.add_stream(codec, rate=25, options={"crf": "10", "preset": "ultrafast"} | (options or {}))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
        stream.time_base = stream.codec_context.time_base = base
        track = file.add_stream("aac", rate=48_000, layout="mono") if sound is not None else None
        for picture, time in zip(pictures, times, strict=True):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24").reformat(format=pixel_format)
            frame.pts, frame.time_base = int(time / base), base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if track is not None and sound is not None:
            assert isinstance(track, AudioStream)
            _encode_sound(file, track, sound, 48_000, "mono", (0, sound_start))
    return path


def decoded_mono(path: Path, rate: int) -> Floats:
    """What a player hears: all of a file's sound by FFmpeg's own rules, one channel."""
    with av.open(path.as_posix()) as file:
        converter = AudioResampler("fltp", "mono", rate, options={"rematrix_maxval": "1.0"})
        parts = [part for frame in file.decode(audio=0) for part in converter.resample(frame)]
        parts += converter.resample(None)
        return np.concatenate([part.to_ndarray()[0] for part in parts if part is not None]).astype(np.float32)


def lag(reference: Floats, heard: Floats, at: int, length: int = 8000, reach: int = 3000) -> int:
    """Samples by which ``heard`` is late against ``reference`` around a place, by cross-correlation."""
    at = max(0, min(at, len(reference) - length))
    part = reference[at : at + length]
    best, best_score = 0, -np.inf
    padded = np.pad(heard, (reach, reach + length))
    for shift in range(-reach, reach + 1):
        start = at + shift + reach
        window = padded[start : start + length]
        score = float(np.dot(part, window)) / (float(np.linalg.norm(window)) + 1e-9)
        if score > best_score:
            best, best_score = shift, score
    return best


WIDTH, HEIGHT = 128, 96


def numbered(number: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """A picture of 12 bars, black or white: the bits of its number, each a twelfth of the width."""
    bits = [(number >> bit & 1) * 200 + 20 for bit in range(12)]
    row = np.array([bits[x * 12 // width] for x in range(width)], np.uint8)
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def number_of(picture: NDArray[np.uint8]) -> int:
    """Read the number back."""
    width = picture.shape[1]
    return sum(int(picture[:, (2 * bit + 1) * width // 24].mean() > 120) << bit for bit in range(12))


Encode = Callable[..., Path]


@pytest.fixture
def encode(tmp_path: Path) -> Encode:
    """Encode a segment of numbered pictures."""

    def encode(name: str, numbers: Iterable[int], settings: EncoderSettings | None = None) -> Path:
        path = tmp_path / f"{name}.mp4"
        with SegmentEncoder(path, WIDTH, HEIGHT, settings) as encoder:
            for number in numbers:
                encoder.write(numbered(number))
        return path

    return encode


@pytest.fixture
def decoded_numbers() -> Callable[[Path], list[int]]:
    """Decode a file's pictures and read their numbers."""

    def decoded_numbers(path: Path) -> list[int]:
        with av.open(str(path)) as file:
            return [
                number_of(cast(NDArray[np.uint8], frame.to_ndarray(format="rgb24"))) for frame in file.decode(video=0)
            ]

    return decoded_numbers


@pytest.fixture
def voice(tmp_path: Path) -> Callable[[float, int], tuple[Path, NDArray[np.int16]]]:
    """Encode noise of some seconds at some rate as AAC in an m4a, and give its samples too."""

    def voice(seconds: float, rate: int = 48_000) -> tuple[Path, NDArray[np.int16]]:
        samples = (np.random.default_rng(7).standard_normal(round(seconds * rate)) * 3_000).astype(np.int16)
        path = tmp_path / f"sound-{rate}.m4a"
        with av.open(str(path), "w", format="mp4") as file:
            track = file.add_stream("aac", rate=rate, bit_rate=128_000, layout="mono")
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = rate, 0
            file.mux(track.encode(frame))
            file.mux(track.encode(None))
        return path, samples

    return voice
