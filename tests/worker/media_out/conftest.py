"""Pictures that tell their number, and sound that tells its place."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_worker.media.encoder import EncoderSettings, SegmentEncoder

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
