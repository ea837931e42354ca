"""How stages report to the operator: by the termination message of their pod when they end, by their log on the way.

A termination message holds at most 4,096 bytes (https://kubernetes.io/docs/tasks/debug/debug-application/determine-reason-pod-failure/):
lists are bitmaps, and warnings are dropped before anything that decisions depend on.

A report is input: the pod that writes it has parsed strangers' media. So every number has bounds, and a report that breaks
one is no report. What only the operator can compare it with is in its ``planning.report_checks``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, TypeAdapter, ValidationError, field_validator, model_validator

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage
from talkingvideo_api.texts import ELLIPSIS, Line, truncate

MAX_TERMINATION_BYTES = 4_096
MAX_MESSAGE_BYTES = 3_000
MAX_FIELD_BYTES = 256
MAX_CHUNKS = 500

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
"""A number of things, of which there may be none."""
Frames = Annotated[int, Field(ge=1, le=100_000_000)]
"""A number of frames."""
Pixels = Annotated[int, Field(ge=1, le=65_536)]
"""Width or height of a picture."""
Bytes = Annotated[int, Field(ge=0, le=2**53)]
"""A size; JSON's numbers are exact up to 2^53."""
Amount = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False)]
"""Seconds, or another measure."""
ChunkIndex = Annotated[int, Field(ge=0, le=MAX_CHUNKS - 1)]
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]
"""SHA-256 digest, in hexadecimal."""
Address = Annotated[str, StringConstraints(max_length=MAX_TERMINATION_BYTES)]
"""URI or URL of a result."""
Bitmap = Annotated[str, StringConstraints(max_length=128)]
"""Base64 of a bit for each of up to 500 chunks."""


R = TypeVar("R", bound=Model)


def encode_bitmap(indices: Iterable[int], length: int) -> str:
    """Base64 of one bit per index, least significant first."""
    bits = bytearray((length + 7) // 8)
    for index in indices:
        bits[index // 8] |= 1 << index % 8
    return base64.b64encode(bits).decode()


def decode_bitmap(bitmap: str, length: int) -> list[int]:
    """The indices whose bits are set.

    Raises:
        ValueError: It is not the base64 of so many bits.
    """
    bits = base64.b64decode(bitmap, validate=True)
    if len(bits) != (length + 7) // 8 or int.from_bytes(bits, "little") >> length:
        raise ValueError(f"it is not a bitmap of {length} bits")
    return [index for index in range(length) if bits[index // 8] >> index % 8 & 1]


class Estimate(Model):
    """Estimate of the work that rendering takes."""

    windows: Count
    """Number of windows that are not rendered yet."""
    gpu_seconds: Amount | None = None
    """GPU time of the whole video in seconds, if the engine has measured figures."""
    cost: Amount | None = None
    """Cost in the currency of the profile's price."""


class PrepareReport(Model):
    """The plan, as far as the operator needs it."""

    kind: Literal["prepare"] = "prepare"
    plan_digest: Sha256
    chunk_frames: Annotated[tuple[Frames, ...], Field(min_length=1, max_length=MAX_CHUNKS)]
    """Frames of each chunk."""
    missing: Bitmap
    """Bitmap of the chunks that are not in the store yet."""
    width: Pixels
    height: Pixels
    delivered_width: Pixels
    delivered_height: Pixels
    estimate: Estimate | None = None
    chained: bool = False
    """Whether each chunk continues the previous one, so that chunks render in order."""
    memory_modes: tuple[Line, ...] | None = None
    """Those that made the chunks that are in the store already, now or for an earlier video."""
    warnings: tuple[Line, ...] = ()

    @model_validator(mode="after")
    def _check_bitmap(self) -> Self:
        decode_bitmap(self.missing, len(self.chunk_frames))
        return self

    def shortened(self) -> Self | None:
        """Without the last warning, or the last memory mode."""
        if self.warnings:
            return _with(self, warnings=self.warnings[:-1])
        return _with(self, memory_modes=self.memory_modes[:-1]) if self.memory_modes else None


class RenderReport(Model):
    """One chunk was rendered, or found finished."""

    kind: Literal["render"] = "render"
    chunk: ChunkIndex
    key: Sha256
    frames: Frames
    resumed_windows: Count = 0
    """Windows that an earlier, killed pod had finished."""
    load_seconds: Amount = 0
    render_seconds: Amount = 0
    memory_mode: Line | None = None
    """Memory mode of the engine, if it has any; several are joined by ``; ``."""
    peak_gpu_bytes: Bytes | None = None
    """Peak memory of one GPU, if the engine measures it."""
    gpus: Count = 0
    """Number of GPUs that rendered the chunk together; 0 without a GPU."""
    gpu_seconds: Amount = 0
    """Time of loading and rendering multiplied by GPUs, of the attempt that finished the chunk."""
    part_seconds: dict[str, Amount] = Field(default_factory=dict)
    """Wall time by part of the engine."""
    warnings: tuple[Line, ...] = ()
    """What the user should know about how it was made."""

    def shortened(self) -> Self | None:
        """Without the last warning."""
        return _with(self, warnings=self.warnings[:-1]) if self.warnings else None


THUMBNAIL = "thumbnail"
REPORT = "report"
"""Names of artifacts that every result has."""


class Artifact(Model):
    """A file beside the video."""

    uri: Address
    media_type: str


class StitchReport(Model):
    """The result was delivered."""

    kind: Literal["stitch"] = "stitch"
    uri: Address
    """The video."""
    url: Address | None = None
    artifacts: dict[str, Artifact]
    """Files beside the video by their names: `THUMBNAIL`, `REPORT`, and what later releases add."""
    scores: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = Field(default_factory=dict)
    """Measurements of the result by their names; none yet."""
    mime_type: Literal["video/mp4"] = "video/mp4"
    bytes: Bytes
    sha256: Sha256
    width: Pixels
    height: Pixels
    frame_count: Frames
    frame_rate: Annotated[int, Field(ge=1, le=1_000)] = 25
    duration_seconds: Amount

    @field_validator("artifacts")
    @classmethod
    def _complete(cls, artifacts: dict[str, Artifact]) -> dict[str, Artifact]:
        if missing := {THUMBNAIL, REPORT} - artifacts.keys():
            raise ValueError(f"a result has a {' and a '.join(sorted(missing))}")
        return artifacts

    def shortened(self) -> Self | None:
        """Without the URL."""
        return _with(self, url=None) if self.url is not None else None


class FailureReport(Model):
    """Why a stage failed."""

    kind: Literal["failure"] = "failure"
    code: ErrorCode
    message: Annotated[Line, StringConstraints(max_length=MAX_TERMINATION_BYTES)]
    field: Annotated[Line, StringConstraints(max_length=MAX_FIELD_BYTES)] | None = None
    retryable: bool

    @classmethod
    def of(cls, error: StageError) -> FailureReport:
        """The report of an error, its texts truncated to what a status can hold."""
        return cls(
            code=error.code,
            message=truncate(error.message, MAX_MESSAGE_BYTES),
            field=error.field and truncate(error.field, MAX_FIELD_BYTES),
            retryable=error.retryable,
        )

    def shortened(self) -> Self | None:
        """With three quarters of the message."""
        kept = self.message.removesuffix(ELLIPSIS)[: 3 * len(self.message) // 4 - 1]
        return _with(self, message=f"{kept}{ELLIPSIS}" if kept else "") if self.message else None


Report = PrepareReport | RenderReport | StitchReport | FailureReport
"""How a stage ended: the content of its pod's termination message."""

_REPORT: TypeAdapter[Report] = TypeAdapter(Annotated[Report, Field(discriminator="kind")])


def encode_report(report: Report) -> str:
    """JSON below 4,096 bytes.

    Until it fits, the report drops what matters least: warnings from the end, then memory modes, the result's URL (its
    URI remains), and the end of a failure's message.

    Raises:
        ValueError: It does not fit without losing what decides.
    """
    shorter: Report | None = report
    while shorter is not None:
        text = shorter.to_json()
        if len(text.encode()) < MAX_TERMINATION_BYTES:
            return text
        shorter = shorter.shortened()
    raise ValueError("a termination message must stay below 4,096 bytes")


def decode_report(text: str | None) -> Report | None:
    """Read a termination message; None for an empty, truncated, foreign or impossible one."""
    if not text or len(text.encode(errors="replace")) > MAX_TERMINATION_BYTES:
        return None
    try:
        return _REPORT.validate_json(text)
    except ValidationError:
        return None


def _with(report: R, **changes: object) -> R:
    return report.model_copy(update=changes)


class Progress(Model):
    """One line of a stage's log, as JSON under the key ``progress``."""

    stage: Stage
    fraction: Annotated[float, Field(allow_inf_nan=False)]
    """Finished part of the stage or chunk, 0..1."""
    message: Line = ""
    """Current activity, for people."""
    chunk: int | None = None


class ProgressLine(Model):
    """The line itself."""

    progress: Progress

    @classmethod
    def latest(cls, log: str) -> Progress | None:
        """The last progress in a log's tail, or None."""
        for line in reversed(log.splitlines()):
            if line.startswith('{"progress":'):
                try:
                    return cls.model_validate_json(line).progress
                except ValidationError:
                    continue
        return None
