"""Asks confined children to decode media: pictures, masks, videos and recordings as arrays and files of our own encoding."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import StageError
from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.engine_audio import EngineAudio
from talkingvideo_worker.media.picture import WORKING_SIDE, Mask, Picture, Rgb
from talkingvideo_worker.media.sandboxed import (
    Done,
    FileArguments,
    Pixels,
    Sound,
    SoundtrackArguments,
    Video,
    VideoArguments,
)
from talkingvideo_worker.media.soundtrack import BITS_PER_SECOND, TimedRecording
from talkingvideo_worker.media.video import MAX_FRAME_PIXELS, NormalisedVideo
from talkingvideo_worker.sandbox.client import Sandbox, too_slow
from talkingvideo_worker.sandbox.limits import Limits
from talkingvideo_worker.units import SAMPLE_RATE

TASKS = "talkingvideo_worker.media.sandboxed"

PICTURE_SECONDS = 20
"""Computing time of a picture; the largest honest ones (100 megapixels) take 2 s."""

RECORDING_SECONDS = 50
"""Computing time of decoding a recording; two hours of Opus, in 360,000 packets, take 26 s."""

EXPLAINED_SECONDS, EXPLAINED_SECONDS_PER_SECOND = 10, 0.02
"""Computing time that a recording of some seconds explains: five times what the slowest takes. Whoever takes more is refused
before the recording is decoded a second time."""

SOUNDTRACK_SECONDS_PER_SECOND = 0.2
"""Computing time of the soundtrack per second and recording, beside that of decoding: about four times what it takes."""

FIRST_FRAME_SECONDS = 20
FRAME_SECONDS = 0.05
FRAME_SECONDS_PER_MEGAPIXEL = 0.1
"""Computing time of normalising a video per frame of the result and per megapixel of the source: several times what 4K at
60 fps takes."""

SMALL_FILE = 1 << 20
"""Bytes added to the expected size of a result: headers, and indices of short files."""


class ConfinedDecoders:
    """Decoders in confined children. Each file is opened by a child of its own; whatever it does there ends in words.

    Args:
        sandbox: Its tasks are `TASKS`.
        folder: Where the children write.
        limits: The profile's limits of inputs.
    """

    def __init__(self, sandbox: Sandbox, folder: Path, limits: InputLimits) -> None:
        self._sandbox = sandbox
        self._folder = folder
        self._limits = limits

    def picture(self, path: Path, field: str) -> Picture:
        """See `read_picture`."""
        limits = Limits(cpu_seconds=PICTURE_SECONDS, file_bytes=3 * WORKING_SIDE**2)
        found = self._sandbox.run("picture", self._file(path, field), Pixels, limits, field)
        return Picture(self._pixels(found, 3, field), found.warnings)

    def mask(self, path: Path, field: str) -> Mask:
        """See `read_mask`."""
        limits = Limits(cpu_seconds=PICTURE_SECONDS, file_bytes=WORKING_SIDE**2)
        found = self._sandbox.run("mask", self._file(path, field), Pixels, limits, field)
        return self._pixels(found, 1, field)[..., 0] > 0

    def first_frame(self, path: Path, field: str) -> Rgb:
        """See `first_frame`."""
        limits = Limits(cpu_seconds=FIRST_FRAME_SECONDS, file_bytes=3 * MAX_FRAME_PIXELS)
        found = self._sandbox.run("first-frame", self._file(path, field), Pixels, limits, field)
        return self._pixels(found, 3, field)

    def normalise_video(
        self, path: Path, out: Path, size: tuple[int, int], crop: Box, source: tuple[int, int], frames: int, field: str
    ) -> NormalisedVideo:
        """Write the frames of a video that the result needs; see `normalise_video`.

        Args:
            path: Untrusted content.
            out: The ``.mp4``.
            size: Width and height of the result.
            crop: Crop box, in pixels of the source.
            source: Width and height of the source.
            frames: Frames that are needed; fewer are written if the video is shorter.
            field: The field that named the file, for errors.
        """
        width, height = size
        per_frame = FRAME_SECONDS + FRAME_SECONDS_PER_MEGAPIXEL * source[0] * source[1] / 1e6
        arguments = VideoArguments(
            path=path,
            out=self._out,
            field=field,
            limits=self._limits,
            width=width,
            height=height,
            crop=(crop.x, crop.y, crop.width, crop.height),
            frames=frames,
        )
        limits = Limits(
            cpu_seconds=FIRST_FRAME_SECONDS + round(per_frame * frames),
            file_bytes=SMALL_FILE + 3 * width * height * frames,
        )
        found = self._sandbox.run("video", arguments, Video, limits, field)
        self._move(out, field)
        return NormalisedVideo(min(found.frames, frames), found.warnings)

    def engine_audio(self, path: Path, out: Path, field: str) -> EngineAudio:
        """See `write_engine_audio`."""
        longest = round(self._limits.seconds * SAMPLE_RATE * 2)
        limits = Limits(cpu_seconds=RECORDING_SECONDS, file_bytes=SMALL_FILE + longest)
        found = self._sandbox.run("sound", self._file(path, field), Sound, limits, field)
        explained = EXPLAINED_SECONDS + EXPLAINED_SECONDS_PER_SECOND * found.samples_in / found.rate_in
        if self._sandbox.cpu_seconds > explained:
            raise too_slow(explained, field)
        self._move(out, field)
        return EngineAudio(found.samples_in, found.rate_in, found.channels, found.samples, found.warnings)

    def soundtrack(
        self,
        recordings: Sequence[TimedRecording],
        out: Path,
        target_lufs: float | None,
        seconds: Fraction,
    ) -> None:
        """See `encode_soundtrack`."""
        field = recordings[0].field if len(recordings) == 1 else "spec.speech.speakers"
        arguments = SoundtrackArguments(
            recordings=tuple((each.path, each.field, each.start) for each in recordings),
            out=self._out,
            limits=self._limits,
            target_lufs=target_lufs,
            seconds=seconds,
        )
        computing = len(recordings) * (RECORDING_SECONDS + SOUNDTRACK_SECONDS_PER_SECOND * float(seconds))
        most = SMALL_FILE + round(4 * BITS_PER_SECOND / 8 * float(seconds))
        self._sandbox.run("soundtrack", arguments, Done, Limits(cpu_seconds=round(computing), file_bytes=most), field)
        self._move(out, field)

    @property
    def _out(self) -> Path:
        return self._folder / "result.mp4"

    def _file(self, path: Path, field: str) -> FileArguments:
        return FileArguments(path=path, out=self._out, field=field, limits=self._limits)

    def _pixels(self, found: Pixels, channels: int, field: str) -> NDArray[np.uint8]:
        """The picture that a child wrote; the file is removed."""
        shape = (found.height, found.width, channels)
        content = np.fromfile(self._result(field), np.uint8)
        self._out.unlink()
        if content.size != found.height * found.width * channels:
            raise StageError.invalid("The file cannot be read: its decoder failed.", field)
        return content.reshape(shape)

    def _move(self, out: Path, field: str) -> None:
        shutil.move(self._result(field), out)

    def _result(self, field: str) -> Path:
        """The file that a child wrote, if it is a plain one."""
        try:
            kind = os.lstat(self._out).st_mode
        except FileNotFoundError:
            kind = 0
        if not stat.S_ISREG(kind):
            raise StageError.invalid("The file cannot be read: its decoder failed.", field)
        return self._out


@contextmanager
def confined_decoders(folder: Path, limits: InputLimits) -> Iterator[ConfinedDecoders]:
    """Start the sandbox.

    Args:
        folder: Where its children write: empty, and on the file system where the results go.
        limits: The profile's limits of inputs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with Sandbox(TASKS, folder) as sandbox:
        yield ConfinedDecoders(sandbox, folder, limits)
