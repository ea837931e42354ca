"""Starting over: when the retry annotation requests it, and when the store has lost what prepare had left there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job
from talkingvideo_operator.planning.attempts import (
    AttemptCounters,
    chunk_entry,
    counters_of,
    following,
    stage_counters,
    stage_entry,
)
from talkingvideo_operator.settings import BackOff

WITHOUT_PLAN = {"plan_digest": None, "chunks": None, "prepared_time": None, "rendered_time": None, "failure": None}
"""The changes that take a status back to the time before prepare ended."""


def reopen(status: TalkingVideoStatus, retry: str | None, now: datetime) -> TalkingVideoStatus:
    """The status with which a revision that has failed or was cancelled is tried again.

    One that ended before its first Job is checked again from the start: the profile may allow it by now.

    Args:
        status: Of the revision that has ended.
        retry: The retry annotation that requests it.
        now: The time of the decision.
    """
    status = reset_failures(status)
    ended_before_first_job = status.plan_digest is None and not status.stage_attempts
    return status.model_copy(
        update={
            "observed_retry": retry,
            "start_time": now,
            "completion_time": None,
            "phase": None,
            "effective": None if ended_before_first_job else status.effective,
        }
    )


def reset_failures(status: TalkingVideoStatus) -> TalkingVideoStatus:
    """Reset the failures of a revision; finished chunks and attempt numbers stay.

    After a failure of the workspace nothing is known about its contents, so prepare checks them again.
    """
    if status.failure is not None and _is_workspace_failure(status.failure):
        return reset_failures(_without_plan(status, stage_counters(status, Stage.PREPARE)))
    chunks = status.chunks
    if chunks is not None:
        failed = tuple(chunk_entry(entry.index, counters_of(entry).reset()) for entry in chunks.failed)
        chunks = chunks.model_copy(update={"failed": failed})
    stages = tuple(stage_entry(entry.stage, counters_of(entry).reset()) for entry in status.stage_attempts)
    return status.model_copy(update={"chunks": chunks, "stage_attempts": stages, "failure": None})


def prepare_again(
    status: TalkingVideoStatus, failure: Failure, max_failures: int, back_off: BackOff, now: datetime
) -> TalkingVideoStatus | None:
    """The status with which to prepare again after a failure.

    Args:
        status: Of the video.
        failure: The failure that would otherwise end the video.
        max_failures: How many failures of prepare the profile allows. A loss counts as one, so that a store that loses
            whatever is written to it does not keep a video busy forever.
        back_off: How long to wait.
        now: The time of the decision.

    Returns:
        None when preparing again does not help, or has been done too often.
    """
    lost = _is_workspace_failure(failure) and not failure.retryable
    counters = stage_counters(status, Stage.PREPARE).with_failure(back_off, now)
    if not lost or counters.failures >= max_failures:
        return None
    return _without_plan(status, counters)


def start_over(status: TalkingVideoStatus, jobs: Iterable[Job]) -> TalkingVideoStatus:
    """The status with which a revision is prepared again because it is made with other values.

    Args:
        status: Of the video.
        jobs: Of the revision. None of them proves anything any more: the next attempts get later numbers.
    """
    latest: dict[Stage, int] = {}
    for job in jobs:
        latest[job.stage] = max(job.attempt, latest.get(job.stage, 0))
    counters = {stage: stage_counters(status, stage).reset() for stage in (Stage.PREPARE, Stage.STITCH)}
    entries = (
        stage_entry(stage, AttemptCounters(next_attempt=max(known.next_attempt, latest.get(stage, -1) + 1)))
        for stage, known in counters.items()
    )
    status = status.model_copy(update=WITHOUT_PLAN)
    return status.model_copy(update={"stage_attempts": tuple(entry for entry in entries if entry.next_attempt)})


def _is_workspace_failure(failure: Failure) -> bool:
    """Whether a later stage has failed because of the files that prepare had left for it."""
    return failure.stage is not Stage.PREPARE and failure.code is ErrorCode.WORKSPACE


def _without_plan(status: TalkingVideoStatus, counters: AttemptCounters) -> TalkingVideoStatus:
    """The status as it was before prepare ended.

    Args:
        status: Of a video that is to be prepared again.
        counters: Of prepare. Its Job that has succeeded no longer proves anything: the next attempt gets a later number.
    """
    prepare = stage_entry(Stage.PREPARE, replace(counters, next_attempt=following(counters.next_attempt)))
    others = (
        stage_entry(entry.stage, counters_of(entry).reset())
        for entry in status.stage_attempts
        if entry.stage is not Stage.PREPARE
    )
    return status.model_copy(update=WITHOUT_PLAN | {"stage_attempts": (*others, prepare)})
