"""``plan.json``: what prepare found and decided, in the workspace, for render and stitch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from talkingvideo_api.model import Model

PLAN_NAME = "plan.json"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]
"""Name in the workspace. The plan is made where strangers' media are parsed: its names must lead nowhere else."""

ChunkKey = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class PlannedChunk(Model):
    """One chunk."""

    index: int
    start_frame: int
    """Global number of its first frame."""
    windows: tuple[int, ...]
    """New frames of each window."""
    first_window: int
    """Global index of its first window."""
    key: ChunkKey
    """Digest of all that determines its pixels; its folder's name among the finished chunks."""

    @property
    def frames(self) -> int:
        """Frames of the chunk."""
        return sum(self.windows)


class PlannedTrack(Model):
    """The sound of one speaker, as engines hear it."""

    file: FileName
    """Name in the workspace: 16 kHz mono WAV."""
    phonemes: tuple[tuple[float, str], ...] = ()
    """Start in seconds and espeak-ng mnemonic, where the text is known."""
    region: tuple[float, float, float, float] | None = None
    """The speaker's place as fractions: x, y, width, height."""


class Plan(Model):
    """The whole plan."""

    version: Literal[1] = 1
    picture: FileName
    """Name in the workspace: ``picture.png`` or ``picture.mp4``."""
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
    sound_digest: str
    """sha256 of ``sound.m4a``."""
    chunks: tuple[PlannedChunk, ...]
    engine_files: tuple[FileName, ...] = ()
    """What the engine's prepare wrote: names below ``engine/`` in the workspace."""
    found: dict[str, Any] = Field(default_factory=dict)
    """What was found in the inputs (faces, formats), for the report."""
    warnings: tuple[str, ...] = ()
