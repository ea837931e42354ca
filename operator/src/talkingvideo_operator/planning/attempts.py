"""Attempts: which ended ones count, when the next may begin, and when trying is over.

Status and Jobs together say it all. Status holds what was already accounted for (``next_attempt`` and what is below it
is history); Jobs of that number and above are news. So a restart between any two writes repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, Report
from talkingvideo_api.status import Attempts, ChunkAttempts, Failure, StageAttempts, TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job, Pod
from talkingvideo_operator.planning.outcome import Failed, Running, Succeeded, gpu_time, outcome
from talkingvideo_operator.settings import BackOff, OperatorConfig


@dataclass(frozen=True)
class AttemptCounters:
    """What is accounted for, of prepare, stitch or one chunk."""

    failures: int = 0
    interruptions: int = 0
    next_attempt: int = 0
    not_before: datetime | None = None

    def forgiven(self) -> AttemptCounters:
        """The record after somebody asked to try again: a clean sheet, but never an old number."""
        return AttemptCounters(next_attempt=self.next_attempt)

    def failed(self, back_off: BackOff, now: datetime) -> AttemptCounters:
        """The record after one more failure: the next attempt waits, each time twice as long."""
        failures = self.failures + 1
        delay = min(back_off.max_seconds, back_off.first_seconds * 2 ** (failures - 1))
        not_before = (now + timedelta(seconds=delay)).replace(microsecond=0)
        return replace(self, failures=failures, not_before=not_before)


@dataclass(frozen=True)
class AttemptState:
    """How a piece of work stands."""

    counters: AttemptCounters
    running: Job | None = None
    done: bool = False
    report: Report | None = None
    failure: FailureReport | None = None
    """The last failure, if an attempt failed."""
    final: bool = False
    """No further attempt will be made."""
    stale: tuple[Job, ...] = ()
    """Unfinished Jobs that nobody waits for any more."""
    used_seconds: float = 0
    """Running time of the attempts that ended."""
    requeue_at: datetime | None = None

    def may_start(self, now: datetime) -> bool:
        """Whether an attempt may begin now."""
        waiting = self.counters.not_before is not None and now < self.counters.not_before
        return not (self.done or self.final or self.running or waiting)


def follow_attempts(
    counters: AttemptCounters,
    jobs: list[Job],
    pods: dict[str, tuple[Pod, ...]],
    attempts: int,
    config: OperatorConfig,
    now: datetime,
) -> AttemptState:
    """Account for the attempts that ended since the record was written.

    Args:
        counters: What status says.
        jobs: The work's Jobs of this revision.
        pods: Pods by their Job's uid.
        attempts: How many failures the profile allows.
        config: Back-off, grace times, the cap on interruptions.
        now: The present.
    """
    if counters.not_before is not None and counters.not_before <= now:
        counters = replace(counters, not_before=None)
    stale = tuple(job for job in jobs if job.attempt < counters.next_attempt and job.unfinished)
    state = AttemptState(counters, stale=stale)
    for job in sorted(jobs, key=lambda job: job.attempt):
        if job.attempt < counters.next_attempt:
            continue
        own_pods = pods.get(job.uid, ()) if job.uid else ()
        match outcome(job, own_pods, config, now):
            case Running(requeue_at):
                return replace(state, running=job, requeue_at=requeue_at)
            case Succeeded(report):
                used = state.used_seconds + gpu_time(job, own_pods, now)
                return replace(state, done=True, report=report, used_seconds=used)
            case Failed() as failed:
                used = state.used_seconds + gpu_time(job, own_pods, now)
                state = _after_failure(replace(state, used_seconds=used), job, failed, attempts, config, now)
    return state


def _after_failure(
    state: AttemptState, job: Job, failed: Failed, attempts: int, config: OperatorConfig, now: datetime
) -> AttemptState:
    counters = replace(state.counters, next_attempt=job.attempt + 1, not_before=None)
    if job.deleting:
        return replace(state, counters=counters, failure=None)
    if failed.interrupted:
        counters = replace(counters, interruptions=counters.interruptions + 1)
        over = counters.interruptions >= config.max_interruptions
    else:
        counters = counters.failed(config.back_off, now)
        over = not failed.failure.retryable or counters.failures >= attempts
    stale = (*state.stale, job) if job.unfinished else state.stale
    return replace(state, counters=counters, failure=failed.failure, final=state.final or over, stale=stale)


def counters_of(entry: Attempts) -> AttemptCounters:
    """What an entry says."""
    return AttemptCounters(entry.failures, entry.interruptions or 0, entry.next_attempt, entry.not_before)


def stage_counters(status: TalkingVideoStatus, stage: Stage) -> AttemptCounters:
    """The record of prepare or stitch; an empty one where nothing has failed."""
    return next((counters_of(entry) for entry in status.stage_attempts if entry.stage is stage), AttemptCounters())


def entry_of(index: int, counters: AttemptCounters) -> ChunkAttempts:
    """The entry of a chunk."""
    return ChunkAttempts(index=index, **_counts(counters))


def stage_entry(stage: Stage, counters: AttemptCounters) -> StageAttempts:
    """The entry of prepare or stitch."""
    return StageAttempts(stage=stage, **_counts(counters))


def _counts(counters: AttemptCounters) -> dict[str, Any]:
    return {
        "failures": counters.failures,
        "interruptions": counters.interruptions or None,
        "next_attempt": counters.next_attempt,
        "not_before": counters.not_before,
    }


def reset_failures(status: TalkingVideoStatus) -> TalkingVideoStatus:
    """Clear the failures of a revision that is to be tried again; finished chunks and attempt numbers stay.

    When the workspace was what failed, nothing is known to be there: prepare looks again.
    """
    if status.failure is not None and is_of_workspace(status.failure):
        return reset_failures(unprepared(status, stage_counters(status, Stage.PREPARE)))
    chunks = status.chunks
    if chunks is not None:
        failed = tuple(entry_of(entry.index, counters_of(entry).forgiven()) for entry in chunks.failed)
        chunks = chunks.model_copy(update={"failed": failed})
    stages = tuple(stage_entry(entry.stage, counters_of(entry).forgiven()) for entry in status.stage_attempts)
    return status.model_copy(update={"chunks": chunks, "stage_attempts": stages, "failure": None})


def is_of_workspace(failure: Failure) -> bool:
    """Whether a stage failed at what prepare had left to it."""
    return failure.stage is not Stage.PREPARE and failure.code is ErrorCode.WORKSPACE


def unprepared(status: TalkingVideoStatus, counters: AttemptCounters) -> TalkingVideoStatus:
    """As before prepare ended.

    Args:
        status: Of a video that is to be prepared again.
        counters: Of prepare, whose Job that did end proves nothing any more: the next attempt gets a later number.
    """
    again = stage_entry(Stage.PREPARE, replace(counters, next_attempt=counters.next_attempt + 1))
    others = (
        stage_entry(entry.stage, counters_of(entry).forgiven())
        for entry in status.stage_attempts
        if entry.stage is not Stage.PREPARE
    )
    changes = {"plan_digest": None, "chunks": None, "prepared_time": None, "rendered_time": None, "failure": None}
    return status.model_copy(update=changes | {"stage_attempts": (*others, again)})
