"""``plan.json``: what prepare found and decided, for render and stitch.

Every other file of the workspace has the digest of its content in its name, and the plan, which is written last, names
them. So two runs of prepare for one revision may overlap (a pod survives on a lost node) even though an input has changed
in between: neither overwrites the other's files, and each plan leads to the files that it was made with.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import FailFast, Field, StringConstraints, model_validator

from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage

PLAN_NAME = "plan.json"

SOUND_NAME = "sound.m4a"
"""The delivered sound, among the plan's files."""

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]
"""Name of a prepared file. The plan is made where untrusted media are parsed: its names must not leave the folder."""

MAX_CHUNKS = 500
MAX_FILES = 500
MAX_FRAMES = 10_000_000
MAX_SIDE = 16_384
MAX_PHONEMES = 200_000
"""Bounds of what prepare can write, far above what it does: the plan is input for the stages that read it."""

Frames = Annotated[int, Field(ge=1, le=MAX_FRAMES)]
Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Text = Annotated[str, StringConstraints(max_length=2_000)]

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""sha256, hexadecimal."""


Phoneme = tuple[Annotated[float, Field(ge=0, le=MAX_FRAMES)], Annotated[str, StringConstraints(max_length=32)]]


class PlannedFile(Model):
    """A prepared file."""

    sha256: Digest
    used_by: Annotated[tuple[Stage, ...], Field(max_length=len(Stage)), FailFast()]
    """Stages that fetch it."""


class PlannedChunk(Model):
    """One chunk."""

    index: int
    start_frame: int
    """Index of its first frame in the video."""
    windows: Annotated[tuple[Frames, ...], Field(min_length=1), FailFast()]
    """Number of new frames of each window."""
    first_window: Annotated[int, Field(ge=0)]
    """Index of its first window in the video."""
    overlap: Annotated[int, Field(ge=0)] = 0
    """Frames that its first window shares with the previous chunk, which it continues; 0 if it starts from the picture."""
    key: Digest
    """Digest of everything that determines its pixels; the name of its folder among the finished chunks."""

    @property
    def frames(self) -> int:
        """Frames of the chunk."""
        return sum(self.windows)


def segment_name(key: str, window: int) -> str:
    """Name of a window's frames among the finished chunks, a closed-GOP mp4.

    Args:
        key: Key of the chunk.
        window: Index of the window in the chunk.
    """
    return f"{key}/segment-{window:04d}.mp4"


Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""A part of the picture's width or height."""


class PlannedTrack(Model):
    """The speech of one speaker, as engines read it."""

    file: FileName
    """Name among the plan's files: 16 kHz mono WAV."""
    phonemes: Annotated[tuple[Phoneme, ...], Field(max_length=MAX_PHONEMES), FailFast()] = ()
    """Start in seconds and espeak-ng mnemonic of each phoneme, if the text is known."""
    region: tuple[Fraction, Fraction, Fraction, Fraction] | None = None
    """The speaker's rectangle in fractions of the picture: x, y, width, height."""
    mask: FileName | None = None
    """Name of a picture of the rendered size, white where the speaker is. Replaces region."""


class Plan(Model):
    """The whole plan."""

    version: Literal[3] = 3
    effective_digest: Digest
    """Digest of the effective values that the keys were made with. Chunks must be rendered with the same values."""
    files: Annotated[dict[FileName, PlannedFile], Field(max_length=MAX_FILES)]
    """Every prepared file by the name that stages use; see `stored_name`."""
    picture: FileName
    """Name among the files: ``picture.png`` or ``picture.mp4``."""
    tracks: Annotated[tuple[PlannedTrack, ...], Field(max_length=2), FailFast()]
    frames: Frames
    width: Side
    """Rendered width in pixels."""
    height: Side
    """Rendered height in pixels."""
    delivered_width: Side
    delivered_height: Side
    sound_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    """Length of the result's audio in seconds."""
    engine_digest: Text
    """Digest of the engine's code and weights that the keys were made with."""
    chunks: Annotated[tuple[PlannedChunk, ...], Field(min_length=1, max_length=MAX_CHUNKS), FailFast()]
    found: dict[str, Any] = Field(default_factory=dict)
    """Findings about the inputs (faces, formats), for the report."""
    warnings: Annotated[tuple[Text, ...], Field(max_length=500), FailFast()] = ()

    @model_validator(mode="after")
    def _files_exist(self) -> Plan:
        used = {
            self.picture,
            *(track.file for track in self.tracks),
            *(track.mask for track in self.tracks if track.mask),
        }
        if missing := used - self.files.keys():
            raise ValueError(f"{len(missing)} of its files are not listed")
        return self

    @model_validator(mode="after")
    def _chunks_add_up(self) -> Plan:
        """Chunks follow one another without a gap, and their windows are all of the video's frames."""
        start = 0
        for index, chunk in enumerate(self.chunks):
            if (chunk.index, chunk.start_frame) != (index, start):
                raise ValueError(f"chunk {index} does not begin where the one before it ends")
            start += chunk.frames
        if start != self.frames:
            raise ValueError(f"its chunks have {start} frames instead of {self.frames}")
        return self

    @property
    def digest(self) -> str:
        """Identifies the plan: sha256, hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def files_of(self, stage: Stage) -> list[str]:
        """Names of the files that a stage fetches."""
        return [name for name, file in self.files.items() if stage in file.used_by]

    def stored_name(self, name: str) -> str:
        """Name in the workspace of one of the files, such as ``picture-<sha256>.png``."""
        path = PurePosixPath(name)
        return str(path.with_name(f"{path.stem}-{self.files[name].sha256}{path.suffix}"))
