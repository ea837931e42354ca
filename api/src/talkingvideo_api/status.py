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
    """Ready, Reconciling, Stalled, Complete, Failed or Suspended; each is always there."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$")]
    """True or False."""
    reason: Reason
    """One word for programs."""
    message: str = ""
    """A sentence for people."""
    last_transition_time: datetime
    """When status changed last."""
    observed_generation: int
    """Generation of the spec that it speaks of."""


class ActiveChunk(Model):
    """A chunk that is being rendered or waits for its next attempt."""

    index: int
    """Its number, from 0."""
    attempt: int
    """Counted from 0."""
    stage: str
    """Waiting, Pending, Running or BackOff, and what the pod says it does."""
    progress: int = 0
    """Percent."""
    job: str | None = None
    """Name of its Job."""


class Attempts(Model):
    """Attempts of one piece of work that is not finished."""

    failures: int
    """Failures that count towards the profile's attempts."""
    interruptions: int | None = None
    """Attempts that ended through no fault of their own, such as on a lost node; capped, not counted as failures."""
    next_attempt: int
    """Number of the next Job."""
    not_before: datetime | None = None
    """End of the back-off."""


class ChunkAttempts(Attempts):
    """Attempts of a chunk that is not finished."""

    index: int
    """Index of the chunk, from 0."""


class StageAttempts(Attempts):
    """Attempts of prepare or stitch."""

    stage: Stage
    """prepare or stitch."""


class Chunks(Model):
    """The chunks, unfinished ones in detail."""

    total: int
    """How many there are."""
    done: int
    """How many are finished."""
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
    failed: tuple[ChunkAttempts, ...] = ()
    """Those with failed attempts behind them."""
    chained: bool | None = None
    """true: each goes on from the one before, so they are rendered one at a time, in order."""
    memory_modes: tuple[str, ...] | None = None
    """How the engine laid out the model in GPU memory: the modes that made the chunks."""


class Dimensions(Model):
    """Pixels."""

    width: int
    """Pixels."""
    height: int
    """Pixels."""


class OutputStatus(Model):
    """The finished video."""

    uri: str
    """The video, MP4."""
    url: str | None = None
    """Only where the store has a publicBaseUrl; addresses with signatures are secrets and never stand here."""
    thumbnail_uri: str
    """A picture of it, JPEG."""
    report_uri: str
    """What was asked, found and made, JSON."""
    mime_type: str
    """video/mp4."""
    bytes: int
    """Size of the video's file."""
    sha256: str
    """Digest of the video's file, hexadecimal."""
    width: int
    """Pixels."""
    height: int
    """Pixels."""
    frame_count: int
    """Frames."""
    frame_rate: int
    """Frames a second: 25."""
    duration_seconds: float
    """frameCount / frameRate."""


class Timings(Model):
    """Seconds of wall time, absent where not reached."""

    queued_seconds: float | None = None
    """Until the first pod ran."""
    preparing_seconds: float | None = None
    """Fetching, checking, splitting."""
    rendering_seconds: float | None = None
    """From the first chunk's start to the last one's end."""
    stitching_seconds: float | None = None
    """Joining and delivering."""
    total_seconds: float | None = None
    """From the beginning of the work to its end."""


class Usage(Model):
    """What was used."""

    gpu_seconds: float = 0
    """Running time of render pods times their GPUs, failed attempts included; indicative."""


class Failure(Model):
    """Why the video failed."""

    code: ErrorCode
    """Row of the table of errors."""
    message: str
    """What was wrong, and what to do."""
    field: str | None = None
    """Path of the field that caused it."""
    retryable: bool
    """Whether the same may succeed when it is tried again unchanged."""
    stage: Stage | None = None
    """Where it happened."""
    chunk: int | None = None
    """Which chunk, from 0."""


class TalkingVideoStatus(Model):
    """What is."""

    observed_generation: int = -1
    """Generation of the spec that this status speaks of; -1 before the operator's first look."""
    phase: Phase | None = None
    """One word for people; programs read the conditions."""
    progress: int | None = None
    """Percent of the whole."""
    revision: str | None = None
    """Digest of the spec, less what does not change the result."""
    conditions: tuple[Condition, ...] = ()
    """For kubectl wait, GitOps and other programs."""
    plan_digest: str | None = None
    """Digest of the plan that prepare made."""
    rendered: Dimensions | None = None
    """Size that the engine renders."""
    delivered: Dimensions | None = None
    """Size of the result."""
    chunks: Chunks | None = None
    """The pieces that are rendered side by side."""
    stage_attempts: tuple[StageAttempts, ...] = ()
    """Failed attempts of prepare and stitch."""
    queue_position: int | None = None
    """Place among the videos that wait to render, from 1."""
    start_time: datetime | None = None
    """When the work of this revision began."""
    prepared_time: datetime | None = None
    """When the plan was there."""
    rendered_time: datetime | None = None
    """When the last chunk was finished."""
    completion_time: datetime | None = None
    """When it ended, well or badly."""
    estimated_completion_time: datetime | None = None
    """By the pace so far."""
    estimate: Estimate | None = None
    """What rendering would take."""
    effective: Effective | None = None
    """Every value in force for this revision."""
    output: OutputStatus | None = None
    """The finished video."""
    timings: Timings | None = None
    """How long it took."""
    usage: Usage | None = None
    """What it used."""
    failure: Failure | None = None
    """Why it failed."""
    warnings: tuple[str, ...] = ()
    """What was cut, guessed or without effect."""
    observed_retry: str | None = None
    """The retry annotation's value that was last acted on."""
