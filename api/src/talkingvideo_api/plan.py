"""``plan.json``: what prepare found and decided, in the workspace, for render and stitch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from talkingvideo_api.model import Model

PLAN_NAME = "plan.json"

FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")]
"""Name in the workspace. The plan is made where strangers' media are parsed: its names must lead nowhere else."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""sha256, hexadecimal."""


class PlannedChunk(Model):
    """One chunk."""

    index: int
    start_frame: int
    """Global number of its first frame."""
    windows: tuple[int, ...]
    """New frames of each window."""
    first_window: int
    """Global index of its first window."""
    lead: int = 0
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
    """Name in the workspace: 16 kHz mono WAV."""
    phonemes: tuple[tuple[float, str], ...] = ()
    """Start in seconds and espeak-ng mnemonic, where the text is known."""
    region: tuple[float, float, float, float] | None = None
    """The speaker's place as fractions: x, y, width, height."""
    mask: FileName | None = None
    """Instead of a region: name in the workspace of a picture of the rendered size, white where the speaker is."""


class PlannedLora(Model):
    """A fetched LoRA; its file is ``loras/<index>.safetensors`` in the workspace."""

    index: Annotated[int, Field(ge=0)]
    """Its place in the order in which LoRAs are applied."""
    digest: Digest
    """sha256 of the file."""


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
    engine_digest: str | None = None
    """Of the engine's code and weights that the chunks' keys were made with."""
    chunks: tuple[PlannedChunk, ...]
    loras: tuple[PlannedLora, ...] = ()
    """Those that were fetched; others are beside the engine's weights."""
    engine_files: tuple[FileName, ...] = ()
    """What the engine's prepare wrote: names below ``engine/`` in the workspace."""
    found: dict[str, Any] = Field(default_factory=dict)
    """What was found in the inputs (faces, formats), for the report."""
    warnings: tuple[str, ...] = ()
