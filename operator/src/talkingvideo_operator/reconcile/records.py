"""Records of attempts as status keeps them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.status import Attempts, StageAttempts, TalkingVideoStatus
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

    When the store had lost a chunk, the plan or a file of it, nothing is known to be there: prepare looks again.
    """
    if _has_lost_work(status):
        return forgive(_unprepared(status))
    chunks = status.chunks
    if chunks is not None:
        failed = tuple(entry_of(entry.index, record_of(entry).forgiven()) for entry in chunks.failed)
        chunks = chunks.model_copy(update={"failed": failed})
    stages = tuple(stage_entry(entry.stage, record_of(entry).forgiven()) for entry in status.stage_attempts)
    return status.model_copy(update={"chunks": chunks, "stage_attempts": stages, "failure": None})


def _has_lost_work(status: TalkingVideoStatus) -> bool:
    failure = status.failure
    return failure is not None and failure.stage is not Stage.PREPARE and failure.code is ErrorCode.WORKSPACE


def _unprepared(status: TalkingVideoStatus) -> TalkingVideoStatus:
    """As before prepare ended, whose Job that did end proves nothing any more."""
    record = stage_record(status, Stage.PREPARE)
    others = tuple(entry for entry in status.stage_attempts if entry.stage is not Stage.PREPARE)
    again = stage_entry(Stage.PREPARE, replace(record, next_attempt=record.next_attempt + 1))
    changes = {"plan_digest": None, "chunks": None, "prepared_time": None, "rendered_time": None, "failure": None}
    return status.model_copy(update=changes | {"stage_attempts": (*others, again)})
