"""The tasks that open untrusted media, as the children of the sandbox perform them: arguments and results as JSON.

Pictures cross as files of plain bytes, sound and video as files that this package has encoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from talkingvideo_api.profile import InputLimits
from talkingvideo_worker.faces.types import Box
from talkingvideo_worker.media.audio_decoder import RATES
from talkingvideo_worker.media.engine_audio import write_engine_audio
from talkingvideo_worker.media.picture import read_mask, read_picture
from talkingvideo_worker.media.soundtrack import TimedRecording, encode_soundtrack
from talkingvideo_worker.media.video import first_frame, normalise_video
from talkingvideo_worker.sandbox.messages import MAX_MESSAGE, Sentence, Task

MAX_SIDE = 65_535
"""Pixels of a side of a picture that crosses: more than any decoder makes."""

Sentences = Annotated[tuple[Sentence, ...], Field(max_length=100)]


class _Crossing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileArguments(_Crossing):
    """A file, the field that named it, and where its content is written."""

    path: Path
    out: Path
    field: str
    limits: InputLimits


class VideoArguments(FileArguments):
    """How a video is normalised; see `normalise_video`. The crop is left, top, width, height."""

    width: int
    height: int
    crop: tuple[int, int, int, int]
    frames: int


class SoundtrackArguments(_Crossing):
    """How recordings are encoded; see `encode_soundtrack`. A recording is its file, its field and its start."""

    recordings: tuple[tuple[Path, str, Fraction], ...]
    out: Path
    limits: InputLimits
    target_lufs: float | None
    seconds: Fraction


class Pixels(_Crossing):
    """A picture in a file of ``height`` x ``width`` x channels bytes."""

    width: int = Field(gt=0, le=MAX_SIDE)
    height: int = Field(gt=0, le=MAX_SIDE)
    warnings: Sentences = ()


class Sound(_Crossing):
    """See `EngineAudio`."""

    samples_in: int = Field(gt=0)
    rate_in: int = Field(ge=RATES.start, lt=RATES.stop)
    channels: int = Field(ge=1, le=2)
    samples: int = Field(ge=0)
    warnings: Sentences


class Video(_Crossing):
    """See `NormalisedVideo`."""

    frames: int = Field(gt=0)
    warnings: Sentences


class Done(_Crossing):
    """The file is written; there is nothing else to say."""


def _picture(given: FileArguments) -> Pixels:
    picture = read_picture(given.path, given.limits, given.field)
    return _write_pixels(picture.rgb, given.out, picture.warnings)


def _mask(given: FileArguments) -> Pixels:
    return _write_pixels(read_mask(given.path, given.limits, given.field).astype(np.uint8), given.out)


def _first_frame(given: FileArguments) -> Pixels:
    return _write_pixels(first_frame(given.path, given.limits, given.field), given.out)


def _video(given: VideoArguments) -> Video:
    made = normalise_video(
        given.path, given.out, given.width, given.height, Box(*given.crop), given.limits, given.field, given.frames
    )
    return Video(frames=made.frames, warnings=_bounded(made.warnings))


def _sound(given: FileArguments) -> Sound:
    made = write_engine_audio(given.path, given.out, given.limits, given.field)
    return Sound(
        samples_in=made.samples_in,
        rate_in=made.rate_in,
        channels=made.channels,
        samples=made.samples,
        warnings=_bounded(made.warnings),
    )


def _soundtrack(given: SoundtrackArguments) -> Done:
    recordings = [TimedRecording(path, field, start) for path, field, start in given.recordings]
    encode_soundtrack(recordings, given.out, given.limits, given.target_lufs, given.seconds)
    return Done()


def _write_pixels(pixels: NDArray[np.uint8], out: Path, warnings: Iterable[str] = ()) -> Pixels:
    np.ascontiguousarray(pixels).tofile(out)
    return Pixels(width=pixels.shape[1], height=pixels.shape[0], warnings=_bounded(warnings))


def _bounded(warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(warning[:MAX_MESSAGE] for warning in islice(warnings, 100))


Arguments = TypeVar("Arguments", bound=BaseModel)


def _task(function: Callable[[Arguments], BaseModel], arguments: type[Arguments]) -> Task:
    return lambda given: function(arguments.model_validate(given)).model_dump(mode="json")


TASKS: Mapping[str, Task] = {
    "picture": _task(_picture, FileArguments),
    "mask": _task(_mask, FileArguments),
    "first-frame": _task(_first_frame, FileArguments),
    "video": _task(_video, VideoArguments),
    "sound": _task(_sound, FileArguments),
    "soundtrack": _task(_soundtrack, SoundtrackArguments),
}
