"""``status`` of a TalkingVideo. Only the operator writes it; it stays below 64 KiB for 500 chunks."""

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
    """Condition, as the Kubernetes API conventions define it."""

    type: ConditionType
    """Ready, Reconciling, Stalled, Complete, Failed or Suspended. All six are always present."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$")]
    """True or False."""
    reason: Reason
    """Reason of the last transition, in CamelCase, for programs."""
    message: str = ""
    """Details of the last transition, for people."""
    last_transition_time: datetime
    """Last time at which status changed."""
    observed_generation: int
    """Generation of the spec that the condition was set for."""


class ActiveChunk(Model):
    """A chunk that is rendering."""

    index: int
    """Index of the chunk, from 0."""
    attempt: int
    """Number of the attempt, from 0."""
    stage: str
    """Waiting (the Job is suspended), Pending or Running."""
    progress: int = 0
    """Progress in percent."""
    job: str | None = None
    """Name of the Job."""


class Attempts(Model):
    """Attempts of a stage or chunk that is not finished."""

    failures: int
    """Failures that count towards the profile's attempts."""
    interruptions: int | None = None
    """Attempts that were interrupted (evicted, node lost). They are not counted as failures; maxInterruptions limits them."""
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
    """State of the chunks."""

    total: int
    """Number of chunks."""
    done: int
    """Number of finished chunks."""
    reused: int = 0
    """Number of chunks that were found finished in the store."""
    summary: str
    """done/total, for the printer column."""
    frames: tuple[int, ...]
    """Number of frames of each chunk."""
    finished: str
    """Bitmap of the finished chunks, in base64."""
    active: tuple[ActiveChunk, ...] = ()
    """Chunks that are rendering, at most 64."""
    failed: tuple[ChunkAttempts, ...] = ()
    """Attempts of unfinished chunks that have failed before."""
    chained: bool | None = None
    """Whether each chunk continues the previous one, so that chunks render one after another."""
    memory_modes: tuple[str, ...] | None = None
    """Memory modes of the engine in which the chunks were rendered."""


class Dimensions(Model):
    """Size of a picture."""

    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""


class OutputStatus(Model):
    """The finished video."""

    uri: str
    """URI of the video, an MP4 file."""
    url: str | None = None
    """Public URL of the video, if the store has a publicBaseUrl. Presigned URLs are secrets and never appear in status."""
    thumbnail_uri: str
    """URI of the thumbnail, a JPEG file."""
    report_uri: str
    """URI of the report, a JSON file with the values, findings and measurements of the video."""
    mime_type: str
    """MIME type of the video: video/mp4."""
    bytes: int
    """Size of the video in bytes."""
    sha256: str
    """SHA-256 digest of the video, in hexadecimal."""
    width: int
    """Width in pixels."""
    height: int
    """Height in pixels."""
    frame_count: int
    """Number of frames."""
    frame_rate: int
    """Frames per second: 25."""
    duration_seconds: float
    """Duration in seconds: frameCount divided by frameRate."""


class Timings(Model):
    """Wall time of the phases in seconds. Phases that were not reached are absent."""

    queued_seconds: float | None = None
    """From the start of the work to the start of the first pod."""
    preparing_seconds: float | None = None
    """Time of fetching, checking and splitting the inputs."""
    rendering_seconds: float | None = None
    """From the end of preparation to the end of the last chunk."""
    stitching_seconds: float | None = None
    """Time of joining the chunks and delivering the result."""
    total_seconds: float | None = None
    """From the start of the work to its end."""


class Usage(Model):
    """Resources that the video has used."""

    gpu_seconds: float = 0
    """Approximate running time of render pods multiplied by their GPUs, including failed attempts."""


class Failure(Model):
    """Why the video failed."""

    code: ErrorCode
    """Error code."""
    message: str
    """What is wrong and what to do about it."""
    field: str | None = None
    """Path of the field that caused the failure."""
    retryable: bool
    """Whether another attempt may succeed without any change."""
    stage: Stage | None = None
    """Stage that failed."""
    chunk: int | None = None
    """Index of the chunk that failed, from 0."""


class TalkingVideoStatus(Model):
    """Observed state of the video."""

    observed_generation: int = -1
    """Generation of the spec that the operator observed last; -1 before the first time."""
    phase: Phase | None = None
    """Summary of the state for people. Programs should use the conditions."""
    progress: int | None = None
    """Progress of the whole video in percent."""
    revision: str | None = None
    """Digest of the fields of the spec that determine the result."""
    conditions: tuple[Condition, ...] = ()
    """Conditions, for kubectl wait, GitOps tools and other programs."""
    plan_digest: str | None = None
    """Digest of the plan that the prepare stage made."""
    rendered: Dimensions | None = None
    """Size of the frames that the engine renders."""
    delivered: Dimensions | None = None
    """Size of the result."""
    chunks: Chunks | None = None
    """State of the chunks."""
    stage_attempts: tuple[StageAttempts, ...] = ()
    """Attempts of the prepare and stitch stages that have failed."""
    queue_position: int | None = None
    """Position among the videos that wait to render, from 1."""
    start_time: datetime | None = None
    """Time at which the work on this revision started."""
    prepared_time: datetime | None = None
    """Time at which the prepare stage succeeded."""
    rendered_time: datetime | None = None
    """Time at which the last chunk was finished."""
    completion_time: datetime | None = None
    """Time at which the video succeeded or failed."""
    estimated_completion_time: datetime | None = None
    """Estimated time of completion, based on the rate so far."""
    estimate: Estimate | None = None
    """Estimate of the work that rendering takes."""
    effective: Effective | None = None
    """Effective values for this revision."""
    output: OutputStatus | None = None
    """The finished video."""
    timings: Timings | None = None
    """Wall time of the phases."""
    usage: Usage | None = None
    """Resources that the video has used."""
    failure: Failure | None = None
    """Why the video failed."""
    warnings: tuple[str, ...] = ()
    """Warnings: what was truncated or assumed, and fields that had no effect."""
    observed_retry: str | None = None
    """Value of the retry annotation that the operator acted on last."""
