"""Attempts: which ended ones count, when the next may begin, and when trying is over.

Status and Jobs together say it all. Status holds what was already accounted for (``next_attempt`` and what is below it
is history); Jobs of that number and above are news. So a restart between any two writes repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from talkingvideo_api.reports import FailureReport, TerminationMessage
from talkingvideo_operator.reconcile.objects import Job, Pod
from talkingvideo_operator.reconcile.outcome import Failed, Running, Succeeded, gpu_time, outcome
from talkingvideo_operator.settings import BackOff, OperatorConfig


@dataclass(frozen=True)
class Record:
    """What is accounted for, of prepare, stitch or one chunk."""

    failures: int = 0
    interruptions: int = 0
    next_attempt: int = 0
    not_before: datetime | None = None

    def forgiven(self) -> Record:
        """The record after somebody asked to try again: a clean sheet, but never an old number."""
        return Record(next_attempt=self.next_attempt)

    def failed(self, back_off: BackOff, now: datetime) -> Record:
        """The record after one more failure: the next attempt waits, each time twice as long."""
        failures = self.failures + 1
        delay = min(back_off.max_seconds, back_off.first_seconds * 2 ** (failures - 1))
        not_before = (now + timedelta(seconds=delay)).replace(microsecond=0)
        return replace(self, failures=failures, not_before=not_before)


@dataclass(frozen=True)
class Trial:
    """How a piece of work stands."""

    record: Record
    running: Job | None = None
    done: bool = False
    report: TerminationMessage | None = None
    failure: FailureReport | None = None
    """The last failure, if an attempt failed."""
    final: bool = False
    """No further attempt will be made."""
    stray: tuple[Job, ...] = ()
    """Unfinished Jobs that nobody waits for any more."""
    used_seconds: float = 0
    """Running time of the attempts that ended."""
    look_again: datetime | None = None

    def may_start(self, now: datetime) -> bool:
        """Whether an attempt may begin now."""
        waiting = self.record.not_before is not None and now < self.record.not_before
        return not (self.done or self.final or self.running or waiting)


def follow(
    record: Record,
    jobs: list[Job],
    pods: dict[str, tuple[Pod, ...]],
    attempts: int,
    config: OperatorConfig,
    now: datetime,
) -> Trial:
    """Account for the attempts that ended since the record was written.

    Args:
        record: What status says.
        jobs: The work's Jobs of this revision.
        pods: Pods by their Job's uid.
        attempts: How many failures the profile allows.
        config: Back-off, grace times, the cap on interruptions.
        now: The present.
    """
    if record.not_before is not None and record.not_before <= now:
        record = replace(record, not_before=None)
    stray = tuple(job for job in jobs if job.attempt < record.next_attempt and job.unfinished)
    trial = Trial(record, stray=stray)
    for job in sorted(jobs, key=lambda job: job.attempt):
        if job.attempt < record.next_attempt:
            continue
        own_pods = pods.get(job.uid, ()) if job.uid else ()
        match outcome(job, own_pods, config, now):
            case Running(look_again):
                return replace(trial, running=job, look_again=look_again)
            case Succeeded(report):
                used = trial.used_seconds + gpu_time(job, own_pods, now)
                return replace(trial, done=True, report=report, used_seconds=used)
            case Failed() as failed:
                used = trial.used_seconds + gpu_time(job, own_pods, now)
                trial = _after_failure(replace(trial, used_seconds=used), job, failed, attempts, config, now)
    return trial


def _after_failure(
    trial: Trial, job: Job, failed: Failed, attempts: int, config: OperatorConfig, now: datetime
) -> Trial:
    record = replace(trial.record, next_attempt=job.attempt + 1, not_before=None)
    if job.deleting:
        return replace(trial, record=record, failure=None)
    if failed.interrupted:
        record = replace(record, interruptions=record.interruptions + 1)
        over = record.interruptions >= config.max_interruptions
    else:
        record = record.failed(config.back_off, now)
        over = not failed.failure.retryable or record.failures >= attempts
    stray = (*trial.stray, job) if job.unfinished else trial.stray
    return replace(trial, record=record, failure=failed.failure, final=trial.final or over, stray=stray)
