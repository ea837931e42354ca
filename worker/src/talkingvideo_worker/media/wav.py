"""Reads and writes mono 16-bit PCM WAV files by sample."""

from __future__ import annotations

import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.units import SAMPLE_RATE

Samples = NDArray[np.int16]
"""(n,): mono."""

BLOCK = 65_536
"""Samples per block where a whole file is read."""


def count_samples(path: Path) -> int:
    """Length of a mono 16-bit WAV in samples."""
    with _opened(path) as file:
        return file.getnframes()


def wav_rate(path: Path) -> int:
    """Sampling rate of a mono 16-bit WAV."""
    with _opened(path) as file:
        return file.getframerate()


def require_engine_audio(path: Path) -> None:
    """Check that a file is what prepare writes for engines.

    Raises:
        StageError: E_INTERNAL for anything but a 16 kHz mono 16-bit WAV.
    """
    try:
        rate: int | None = wav_rate(path)
    except StageError:
        rate = None
    if rate != SAMPLE_RATE:
        raise StageError(ErrorCode.INTERNAL, f"{path.name} is not a 16 kHz mono 16-bit WAV, as prepare writes it.")


def read_samples(path: Path, start: int, count: int) -> Samples:
    """Read part of a mono 16-bit WAV; the rest of the file is not read.

    Args:
        path: As written by `WavWriter`.
        start: First sample, from 0.
        count: Number of samples.

    Returns:
        (count,). Zeros after the end of the file: the last frame of a video may end later than the sound.
    """
    if start < 0 or count < 0:
        raise StageError(ErrorCode.INTERNAL, f"{count} samples from number {start} on were requested.")
    samples = np.zeros(count, np.int16)
    with _opened(path) as file:
        if start < file.getnframes():
            file.setpos(start)
            found = np.frombuffer(file.readframes(count), "<i2")
            samples[: len(found)] = found
    return samples


def sample_blocks(path: Path, size: int = BLOCK) -> Iterator[Samples]:
    """Read a mono 16-bit WAV in blocks of ``size`` samples; the last may be shorter."""
    with _opened(path) as file:
        while block := file.readframes(size):
            yield np.frombuffer(block, "<i2")


class WavWriter:
    """Writes a mono 16-bit WAV; a context manager. The file appears under its name when the block ends without an error.

    Args:
        path: The file.
        rate: Samples per second.
    """

    def __init__(self, path: Path, rate: int) -> None:
        self._rate = rate
        self._writing = atomic_write(path)
        self.samples = 0
        """Samples written so far."""

    def __enter__(self) -> Self:
        self._file = wave.open(self._writing.__enter__().as_posix(), "wb")
        self._file.setparams((1, 2, self._rate, 0, "NONE", ""))
        return self

    def write(self, samples: Samples) -> None:
        """Append samples."""
        self._file.writeframes(samples.astype("<i2", copy=False).tobytes())
        self.samples += len(samples)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()
        self._writing.__exit__(kind, error, traceback)


@contextmanager
def _opened(path: Path) -> Iterator[wave.Wave_read]:
    try:
        with wave.open(path.as_posix(), "rb") as file:
            if (file.getnchannels(), file.getsampwidth()) != (1, 2):
                raise wave.Error("not mono 16-bit")
            yield file
    except (wave.Error, EOFError) as error:
        raise StageError(ErrorCode.WORKSPACE, f"{path.name} is not a mono 16-bit WAV, as expected here.") from error
