"""Attempts at one piece of work (prepare, stitch or one chunk): which count, when the next may start, when to give up.

Status and Jobs together hold everything. Status says what has been counted: attempts below ``next_attempt`` are history.
Jobs with that number or a higher one are new. So an operator killed between any two writes repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, Report
from talkingvideo_api.status import MAX_ATTEMPT, Attempts, ChunkAttempts, StageAttempts, TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job, Pod
from talkingvideo_operator.planning.outcome import Failed, Running, Succeeded, outcome, running_seconds
from talkingvideo_operator.planning.report_checks import Check
from talkingvideo_operator.settings import BackOff, OperatorConfig


@dataclass(frozen=True)
class AttemptCounters:
    """What status says about the attempts at one piece of work."""

    failures: int = 0
    interruptions: int = 0
    next_attempt: int = 0
    not_before: datetime | None = None

    def reset(self) -> AttemptCounters:
        """The counters for a requested retry: no failures, but attempt numbers continue, so that none is used twice."""
        return AttemptCounters(next_attempt=self.next_attempt)

    def with_failure(self, back_off: BackOff, now: datetime) -> AttemptCounters:
        """The counters after one more failure: each wait for the next attempt is twice as long as the one before."""
        failures = self.failures + 1
        delay = min(back_off.max_seconds, back_off.first_seconds * 2 ** (failures - 1))
        not_before = (now + timedelta(seconds=delay)).replace(microsecond=0)
        return replace(self, failures=failures, not_before=not_before)


@dataclass(frozen=True)
class AttemptState:
    """The state of one piece of work."""

    counters: AttemptCounters
    running: Job | None = None
    done: bool = False
    report: Report | None = None
    failure: FailureReport | None = None
    """The last failure, if an attempt has failed."""
    exhausted: bool = False
    """No further attempt is made."""
    stale: tuple[Job, ...] = ()
    """Unfinished Jobs whose outcome no longer matters."""
    used_seconds: float = 0
    """Running time of the attempts that have ended."""
    requeue_at: datetime | None = None

    def may_start(self, now: datetime) -> bool:
        """Whether an attempt may start now."""
        backing_off = self.counters.not_before is not None and now < self.counters.not_before
        return not (self.done or self.exhausted or self.running or backing_off)


def follow_attempts(
    counters: AttemptCounters,
    jobs: list[Job],
    pods: Mapping[str, tuple[Pod, ...]],
    max_failures: int,
    config: OperatorConfig,
    now: datetime,
    check: Check,
) -> AttemptState:
    """Count the attempts that have ended since status was written.

    Args:
        counters: What status says.
        jobs: The Jobs of this work and revision.
        pods: Pods by uid of their Job.
        max_failures: How many failures the profile allows (its ``attempts``).
        config: Back-off, grace times, the limit of interruptions.
        now: The time of the decision.
        check: Compares a report with what is known.
    """
    if counters.not_before is not None and counters.not_before <= now:
        counters = replace(counters, not_before=None)
    stale = tuple(job for job in jobs if job.attempt < counters.next_attempt and job.unfinished)
    state = AttemptState(counters, stale=stale)
    for job in sorted(jobs, key=lambda job: job.attempt):
        if job.attempt < counters.next_attempt:
            continue
        own_pods = pods.get(job.uid, ()) if job.uid else ()
        match outcome(job, own_pods, config, now, check):
            case Running(requeue_at):
                return replace(state, running=job, requeue_at=requeue_at)
            case Succeeded(report):
                used = state.used_seconds + running_seconds(job, own_pods, now)
                return replace(state, done=True, report=report, used_seconds=used)
            case Failed() as failed:
                used = state.used_seconds + running_seconds(job, own_pods, now)
                state = _after_failure(replace(state, used_seconds=used), job, failed, max_failures, config, now)
    return state


def _after_failure(
    state: AttemptState, job: Job, failed: Failed, max_failures: int, config: OperatorConfig, now: datetime
) -> AttemptState:
    counters = replace(state.counters, next_attempt=following(job.attempt), not_before=None)
    if job.deleting:
        return replace(state, counters=counters, failure=None)
    if failed.interrupted:
        counters = replace(counters, interruptions=counters.interruptions + 1)
        exhausted = counters.interruptions >= config.max_interruptions
    else:
        counters = counters.with_failure(config.back_off, now)
        exhausted = not failed.failure.retryable or counters.failures >= max_failures
    exhausted = exhausted or job.attempt >= MAX_ATTEMPT
    stale = (*state.stale, job) if job.unfinished else state.stale
    return replace(
        state, counters=counters, failure=failed.failure, exhausted=state.exhausted or exhausted, stale=stale
    )


def following(attempt: int) -> int:
    """The number of the next attempt, as far as numbers go."""
    return min(attempt + 1, MAX_ATTEMPT)


def counters_of(entry: Attempts) -> AttemptCounters:
    """The counters that an entry of status holds."""
    return AttemptCounters(entry.failures, entry.interruptions or 0, entry.next_attempt, entry.not_before)


def stage_counters(status: TalkingVideoStatus, stage: Stage) -> AttemptCounters:
    """The counters of prepare or stitch; zeros where nothing has failed."""
    return next((counters_of(entry) for entry in status.stage_attempts if entry.stage is stage), AttemptCounters())


def chunk_entry(index: int, counters: AttemptCounters) -> ChunkAttempts:
    """The entry of a chunk in status."""
    return ChunkAttempts(index=index, **_entry_fields(counters))


def stage_entry(stage: Stage, counters: AttemptCounters) -> StageAttempts:
    """The entry of prepare or stitch in status."""
    return StageAttempts(stage=stage, **_entry_fields(counters))


def _entry_fields(counters: AttemptCounters) -> dict[str, Any]:
    return {
        "failures": counters.failures,
        "interruptions": counters.interruptions or None,
        "next_attempt": counters.next_attempt,
        "not_before": counters.not_before,
    }
