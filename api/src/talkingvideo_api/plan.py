"""``plan.json``: what prepare found and decided, in the workspace, for render and stitch.

Every other file of the workspace has a name that holds the digest of its content, and the plan, written last, says which
are meant. So two runs of prepare for one revision may overlap (a lost node keeps a pod alive) though an input has changed
in between: neither writes over the other's files, and whichever plan is there leads to those that it was made with.
"""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage

PLAN_NAME = "plan.json"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]
"""Name of a prepared file. The plan is made where strangers' media are parsed: its names must lead nowhere else."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""sha256, hexadecimal."""


class PlannedFile(Model):
    """A prepared file."""

    sha256: Digest
    used_by: tuple[Stage, ...]
    """Stages that fetch it."""


class PlannedChunk(Model):
    """One chunk."""

    index: int
    start_frame: int
    """Global number of its first frame."""
    windows: tuple[int, ...]
    """New frames of each window."""
    first_window: int
    """Global index of its first window."""
    overlap: int = 0
    """Frames that its first window shares with the chunk before, whose last state it goes on from; 0: with none."""
    key: Digest
    """Digest of all that determines its pixels; its folder's name among the finished chunks."""

    @property
    def frames(self) -> int:
        """Frames of the chunk."""
        return sum(self.windows)


class PlannedTrack(Model):
    """The sound of one speaker, as engines hear it."""

    file: FileName
    """Name among the plan's files: 16 kHz mono WAV."""
    phonemes: tuple[tuple[float, str], ...] = ()
    """Start in seconds and espeak-ng mnemonic, where the text is known."""
    region: tuple[float, float, float, float] | None = None
    """The speaker's place as fractions: x, y, width, height."""
    mask: FileName | None = None
    """Instead of a region: name of a picture of the rendered size, white where the speaker is."""


class Plan(Model):
    """The whole plan."""

    version: Literal[3] = 3
    effective_digest: Digest
    """Of the values in force. Chunks are rendered by the order's: they must be those that the keys were made with."""
    files: dict[FileName, PlannedFile]
    """Every prepared file by the name that stages use; see `stored_name`."""
    picture: FileName
    """Name among the files: ``picture.png`` or ``picture.mp4``."""
    tracks: tuple[PlannedTrack, ...]
    frames: int
    width: int
    """Rendered width in pixels."""
    height: int
    """Rendered height in pixels."""
    delivered_width: int
    delivered_height: int
    sound_seconds: float
    """Length of the delivered sound track."""
    engine_digest: str
    """Of the engine's code and weights that the chunks' keys were made with."""
    chunks: tuple[PlannedChunk, ...]
    found: dict[str, Any] = Field(default_factory=dict)
    """What was found in the inputs (faces, formats), for the report."""
    warnings: tuple[str, ...] = ()

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
