"""``status`` of a TalkingVideo. Written by the operator alone, below 64 KiB for 500 chunks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from talkingvideo_api.conditions import ConditionType, Phase, Reason
from talkingvideo_api.effective import Effective
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Estimate


class Condition(Model):
    """As in the Kubernetes API conventions."""

    type: ConditionType
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$")]
    reason: Reason
    message: str = ""
    last_transition_time: datetime
    observed_generation: int


class ActiveChunk(Model):
    """A chunk that is being rendered or waits for its next attempt."""

    index: int
    attempt: int
    """Counted from 0."""
    stage: str
    """Waiting, Pending, Running or BackOff, and what the pod says it does."""
    progress: int = 0
    """Percent."""
    job: str | None = None


class Attempts(Model):
    """Failed attempts of a chunk that is not finished."""

    index: int
    failures: int
    """Failures that count towards the profile's attempts."""
    interruptions: int | None = None
    """Attempts ended by no fault of theirs (lost nodes, lost reports); capped, not counted as failures."""
    next_attempt: int
    """Number of the next Job."""
    not_before: datetime | None = None
    """Back-off."""


class Chunks(Model):
    """The chunks, unfinished ones in detail."""

    total: int
    done: int
    reused: int = 0
    """Found finished in the store."""
    summary: str
    """done/total, for the column."""
    frames: tuple[int, ...]
    """Frames of each chunk."""
    finished: str
    """Bitmap of the finished chunks."""
    active: tuple[ActiveChunk, ...] = ()
    """At most 64 of them."""
    failed: tuple[Attempts, ...] = ()


class StageAttempts(Model):
    """Attempts of prepare or stitch."""

    stage: Stage
    failures: int
    interruptions: int | None = None
    next_attempt: int
    not_before: datetime | None = None


class Dimensions(Model):
    """Pixels."""

    width: int
    height: int


class OutputStatus(Model):
    """The finished video."""

    uri: str
    url: str | None = None
    """Only where the store has a publicBaseUrl; addresses with signatures are secrets and never stand here."""
    thumbnail_uri: str
    report_uri: str
    mime_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    frame_count: int
    frame_rate: int
    duration_seconds: float


class Timings(Model):
    """Seconds of wall time, absent where not reached."""

    queued_seconds: float | None = None
    preparing_seconds: float | None = None
    rendering_seconds: float | None = None
    stitching_seconds: float | None = None
    total_seconds: float | None = None


class Usage(Model):
    """What was used."""

    gpu_seconds: float = 0
    """Running time of render pods times their GPUs, failed attempts included; indicative."""


class Failure(Model):
    """Why the video failed."""

    code: ErrorCode
    message: str
    field: str | None = None
    retryable: bool
    stage: Stage | None = None
    chunk: int | None = None


class TalkingVideoStatus(Model):
    """What is."""

    observed_generation: int = -1
    phase: Phase | None = None
    progress: int | None = None
    """Percent of the whole."""
    revision: str | None = None
    conditions: tuple[Condition, ...] = ()
    plan_digest: str | None = None
    rendered: Dimensions | None = None
    delivered: Dimensions | None = None
    chunks: Chunks | None = None
    stage_attempts: tuple[StageAttempts, ...] = ()
    queue_position: int | None = None
    start_time: datetime | None = None
    """When the work of this revision began."""
    prepared_time: datetime | None = None
    rendered_time: datetime | None = None
    completion_time: datetime | None = None
    estimated_completion_time: datetime | None = None
    estimate: Estimate | None = None
    effective: Effective | None = None
    output: OutputStatus | None = None
    timings: Timings | None = None
    usage: Usage | None = None
    failure: Failure | None = None
    warnings: tuple[str, ...] = ()
    observed_retry: str | None = None
    """The retry annotation's value that was last acted on."""
