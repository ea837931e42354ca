"""``status`` of a TalkingVideo. Only the operator writes it; it stays below 64 KiB for 500 chunks.

It is read as input nevertheless: others may have rights on it, and decisions are made from it. What breaks a bound, or
contradicts itself, is no status.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints, ValidationError, model_validator

from talkingvideo_api.conditions import ConditionType, Phase, Reason
from talkingvideo_api.effective import Effective
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.model import Model
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import (
    MAX_CHUNKS,
    MAX_FIELD_BYTES,
    MAX_TERMINATION_BYTES,
    REPORT,
    THUMBNAIL,
    Address,
    Amount,
    Bitmap,
    Bytes,
    ChunkIndex,
    Count,
    Estimate,
    Frames,
    Pixels,
    PrepareReport,
    Sha256,
    StitchReport,
    decode_bitmap,
    encode_bitmap,
)
from talkingvideo_api.texts import Line

EARLIEST, LATEST = 2_000, 2_200


def _plausible(moment: datetime) -> datetime:
    """Refuse times that arithmetic with time spans could not represent."""
    if not EARLIEST <= moment.year <= LATEST:
        raise ValueError(f"the year is not between {EARLIEST} and {LATEST}")
    return moment


Time = Annotated[AwareDatetime, AfterValidator(_plausible)]
Percent = Annotated[int, Field(ge=0, le=100)]
Text = Annotated[Line, StringConstraints(max_length=1_024)]
"""A text for people."""
ShortText = Annotated[str, StringConstraints(max_length=320)]
"""A name, or one sentence."""
MAX_ATTEMPT = 9_999
AttemptCount = Annotated[int, Field(ge=0, le=MAX_ATTEMPT)]


class Condition(Model):
    """Condition, as the Kubernetes API conventions define it."""

    type: ConditionType
    """Ready, Reconciling, Stalled, Complete, Failed, Suspended or Cancelled. All seven are always present."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$")]
    """True or False."""
    reason: Reason
    """Reason of the last transition, in CamelCase, for programs."""
    message: Text = ""
    """Details of the last transition, for people."""
    last_transition_time: Time
    """Last time at which status changed."""
    observed_generation: int
    """Generation of the spec that the condition was set for."""


class ActiveChunk(Model):
    """A chunk that is rendering."""

    index: ChunkIndex
    """Index of the chunk, from 0."""
    attempt: AttemptCount
    """Number of the attempt, from 0."""
    stage: ShortText
    """Waiting (the Job is suspended), Pending or Running."""
    progress: Percent = 0
    """Progress in percent."""
    job: ShortText | None = None
    """Name of the Job."""


class Attempts(Model):
    """Attempts of a stage or chunk that is not finished."""

    failures: AttemptCount
    """Failures that count towards the profile's attempts."""
    interruptions: AttemptCount | None = None
    """Attempts that were interrupted (evicted, node lost). They are not counted as failures; maxInterruptions limits them."""
    next_attempt: AttemptCount
    """Number of the next Job."""
    not_before: Time | None = None
    """End of the back-off."""


class ChunkAttempts(Attempts):
    """Attempts of a chunk that is not finished."""

    index: ChunkIndex
    """Index of the chunk, from 0."""


class StageAttempts(Attempts):
    """Attempts of prepare or stitch."""

    stage: Stage
    """prepare or stitch."""


class Chunks(Model):
    """State of the chunks."""

    total: Annotated[int, Field(ge=1, le=MAX_CHUNKS)]
    """Number of chunks."""
    done: Count
    """Number of finished chunks."""
    reused: Count = 0
    """Number of chunks that were found finished in the store."""
    summary: ShortText
    """done/total, for the printer column."""
    frames: Annotated[tuple[Frames, ...], Field(max_length=MAX_CHUNKS)]
    """Number of frames of each chunk."""
    finished: Bitmap
    """Bitmap of the finished chunks, in base64."""
    active: Annotated[tuple[ActiveChunk, ...], Field(max_length=64)] = ()
    """Chunks that are rendering, at most 64."""
    failed: Annotated[tuple[ChunkAttempts, ...], Field(max_length=MAX_CHUNKS)] = ()
    """Attempts of unfinished chunks that have failed before."""
    chained: bool | None = None
    """Whether each chunk continues the previous one, so that chunks render one after another."""
    memory_modes: Annotated[tuple[ShortText, ...], Field(max_length=8)] | None = None
    """Memory modes of the engine in which the chunks were rendered."""

    @classmethod
    def of(
        cls,
        report: PrepareReport,
        failed: tuple[ChunkAttempts, ...] = (),
        memory_modes: tuple[ShortText, ...] | None = None,
    ) -> Self:
        """The chunks of a new plan: those that the store has already are finished."""
        total = len(report.chunk_frames)
        missing = set(decode_bitmap(report.missing, total))
        finished = [index for index in range(total) if index not in missing]
        return cls(
            total=total,
            done=len(finished),
            reused=len(finished),
            summary=f"{len(finished)}/{total}",
            frames=report.chunk_frames,
            finished=encode_bitmap(finished, total),
            failed=failed,
            chained=report.chained or None,
            memory_modes=memory_modes,
        )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if len(self.frames) != self.total or len(decode_bitmap(self.finished, self.total)) != self.done:
            raise ValueError("total, done, frames and finished contradict each other")
        indices = (*(entry.index for entry in self.failed), *(entry.index for entry in self.active))
        if self.reused > self.done or any(index >= self.total for index in indices):
            raise ValueError("there are not so many chunks")
        return self


class Dimensions(Model):
    """Size of a picture."""

    width: Pixels
    """Width in pixels."""
    height: Pixels
    """Height in pixels."""


class OutputStatus(Model):
    """The finished video."""

    uri: Address
    """URI of the video, an MP4 file."""
    url: Address | None = None
    """Public URL of the video, if the store has a publicBaseUrl. Presigned URLs are secrets and never appear in status."""
    thumbnail_uri: Address
    """URI of the thumbnail, a JPEG file."""
    report_uri: Address
    """URI of the report, a JSON file with the values, findings and measurements of the video."""
    mime_type: ShortText
    """MIME type of the video: video/mp4."""
    bytes: Bytes
    """Size of the video in bytes."""
    sha256: Sha256
    """SHA-256 digest of the video, in hexadecimal."""
    width: Pixels
    """Width in pixels."""
    height: Pixels
    """Height in pixels."""
    frame_count: Frames
    """Number of frames."""
    frame_rate: Annotated[int, Field(ge=1, le=1_000)]
    """Frames per second: 25."""
    duration_seconds: Amount
    """Duration in seconds: frameCount divided by frameRate."""

    @classmethod
    def of(cls, report: StitchReport) -> Self:
        """The result as status shows it."""
        thumbnail, description = report.artifacts[THUMBNAIL], report.artifacts[REPORT]
        known = report.model_dump(include=set(cls.model_fields))
        return cls(**known, thumbnail_uri=thumbnail.uri, report_uri=description.uri)


class Timings(Model):
    """Wall time of the phases in seconds. Phases that were not reached are absent."""

    queued_seconds: Amount | None = None
    """From the start of the work to the start of the first pod."""
    preparing_seconds: Amount | None = None
    """Time of fetching, checking and splitting the inputs."""
    rendering_seconds: Amount | None = None
    """From the end of preparation to the end of the last chunk."""
    stitching_seconds: Amount | None = None
    """Time of joining the chunks and delivering the result."""
    total_seconds: Amount | None = None
    """From the start of the work to its end."""


class Usage(Model):
    """Resources that the video has used."""

    gpu_seconds: Amount = 0
    """Approximate running time of render pods multiplied by their GPUs, including failed attempts."""


class Failure(Model):
    """Why the video failed."""

    code: ErrorCode
    """Error code."""
    message: Annotated[Line, StringConstraints(max_length=MAX_TERMINATION_BYTES)]
    """What is wrong and what to do about it."""
    field: Annotated[Line, StringConstraints(max_length=MAX_FIELD_BYTES)] | None = None
    """Path of the field that caused the failure."""
    retryable: bool
    """Whether another attempt may succeed without any change."""
    stage: Stage | None = None
    """Stage that failed."""
    chunk: ChunkIndex | None = None
    """Index of the chunk that failed, from 0."""


class TalkingVideoStatus(Model):
    """Observed state of the video."""

    observed_generation: Annotated[int, Field(ge=-1)] = -1
    """Generation of the spec that the operator observed last; -1 before the first time."""
    phase: Phase | None = None
    """Summary of the state for people. Programs should use the conditions."""
    progress: Percent | None = None
    """Progress of the whole video in percent."""
    revision: ShortText | None = None
    """Digest of the fields of the spec that determine the result."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=16)] = ()
    """Conditions, for kubectl wait, GitOps tools and other programs."""
    plan_digest: Sha256 | None = None
    """Digest of the plan that the prepare stage made."""
    rendered: Dimensions | None = None
    """Size of the frames that the engine renders."""
    delivered: Dimensions | None = None
    """Size of the result."""
    chunks: Chunks | None = None
    """State of the chunks."""
    stage_attempts: Annotated[tuple[StageAttempts, ...], Field(max_length=3)] = ()
    """Attempts of the prepare and stitch stages that have failed."""
    queue_position: Count | None = None
    """Position among the videos that wait to render, from 1."""
    start_time: Time | None = None
    """Time at which the work on this revision started."""
    prepared_time: Time | None = None
    """Time at which the prepare stage succeeded."""
    rendered_time: Time | None = None
    """Time at which the last chunk was finished."""
    completion_time: Time | None = None
    """Time at which the video succeeded, failed or was cancelled."""
    estimated_completion_time: Time | None = None
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
    warnings: Annotated[tuple[ShortText, ...], Field(max_length=64)] = ()
    """Warnings: what was truncated or assumed, and fields that had no effect."""
    observed_retry: ShortText | None = None
    """Value of the retry annotation that the operator acted on last."""

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> Self:
        """The status of an object, or an empty one where this release cannot read it."""
        try:
            return cls.model_validate(document)
        except ValidationError:
            return cls()

    @model_validator(mode="after")
    def _plan_is_whole(self) -> Self:
        if (self.plan_digest is None) != (self.chunks is None):
            raise ValueError("planDigest and chunks are set together")
        return self
