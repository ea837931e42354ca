"""Records of attempts as status keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.status import Attempts, Failure, StageAttempts, TalkingVideoStatus
from talkingvideo_operator.reconcile.retry import Record


def record_of(entry: Attempts | StageAttempts) -> Record:
    """What an entry says."""
    return Record(entry.failures, entry.interruptions or 0, entry.next_attempt, entry.not_before)


def stage_record(status: TalkingVideoStatus, stage: Stage) -> Record:
    """The record of prepare or stitch; an empty one where nothing has failed."""
    return next((record_of(entry) for entry in status.stage_attempts if entry.stage is stage), Record())


def entry_of(index: int, record: Record) -> Attempts:
    """The entry of a chunk."""
    return Attempts(index=index, **_counts(record))


def stage_entry(stage: Stage, record: Record) -> StageAttempts:
    """The entry of prepare or stitch."""
    return StageAttempts(stage=stage, **_counts(record))


def _counts(record: Record) -> dict[str, Any]:
    return {
        "failures": record.failures,
        "interruptions": record.interruptions or None,
        "next_attempt": record.next_attempt,
        "not_before": record.not_before,
    }


def forgive(status: TalkingVideoStatus) -> TalkingVideoStatus:
    """Clear the failures of a revision that is to be tried again; finished chunks and attempt numbers stay.

    When the workspace was what failed, nothing is known to be there: prepare looks again.
    """
    if status.failure is not None and is_of_workspace(status.failure):
        return forgive(unprepared(status, stage_record(status, Stage.PREPARE)))
    chunks = status.chunks
    if chunks is not None:
        failed = tuple(entry_of(entry.index, record_of(entry).forgiven()) for entry in chunks.failed)
        chunks = chunks.model_copy(update={"failed": failed})
    stages = tuple(stage_entry(entry.stage, record_of(entry).forgiven()) for entry in status.stage_attempts)
    return status.model_copy(update={"chunks": chunks, "stage_attempts": stages, "failure": None})


def is_of_workspace(failure: Failure) -> bool:
    """Whether a stage failed at what prepare had left to it."""
    return failure.stage is not Stage.PREPARE and failure.code is ErrorCode.WORKSPACE


def unprepared(status: TalkingVideoStatus, record: Record) -> TalkingVideoStatus:
    """As before prepare ended.

    Args:
        status: Of a video that is to be prepared again.
        record: Of prepare, whose Job that did end proves nothing any more: the next attempt gets a later number.
    """
    again = stage_entry(Stage.PREPARE, replace(record, next_attempt=record.next_attempt + 1))
    others = (
        stage_entry(entry.stage, record_of(entry).forgiven())
        for entry in status.stage_attempts
        if entry.stage is not Stage.PREPARE
    )
    changes = {"plan_digest": None, "chunks": None, "prepared_time": None, "rendered_time": None, "failure": None}
    return status.model_copy(update=changes | {"stage_attempts": (*others, again)})
