"""The outcome of one attempt, from its Job and the Job's pods together.

A pod says earlier than its Job (and in more detail) how the work ended: the Job controller needs about a second. A
success counts as soon as the pod reports it in its termination message; a failure only when the Job has failed, because
the Job controller decides whether a disrupted pod is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from talkingvideo_api.errors import ERRORS, EXIT_STATUSES, ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import (
    MAX_MESSAGE_BYTES,
    FailureReport,
    PrepareReport,
    RenderReport,
    Report,
    StitchReport,
    decode_report,
)
from talkingvideo_api.texts import truncate
from talkingvideo_clients.kube.objects import Container, Job, Pod
from talkingvideo_operator.planning.pod_problems import problem_of
from talkingvideo_operator.planning.report_checks import Check
from talkingvideo_operator.settings import OperatorConfig

REPORTS: Mapping[Stage, type[PrepareReport | RenderReport | StitchReport]] = {
    Stage.PREPARE: PrepareReport,
    Stage.RENDER: RenderReport,
    Stage.STITCH: StitchReport,
}
"""What each stage reports on success."""


PARSER = "process"
"""The container that parses strangers' media. What the kernel kills there is killed because of an input: the next attempt
would be, too."""

KERNEL_KILLS = frozenset({132, 134, 135, 136, 137, 139, 152, 153, 159})
"""Exit statuses after SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGKILL, SIGSEGV, SIGXCPU, SIGXFSZ and SIGSYS (128 + signal)."""

UNBEARABLE = (
    "An input needs more memory or computing time than the container that reads the inputs may use, or crashes it: make "
    "pictures smaller, encode sound and video again with common settings. If all videos end like this, the profile's "
    "prepare.resources are too small."
)


@dataclass(frozen=True)
class Running:
    """Not ended, or ended with a report that is awaited until ``requeue_at``."""

    requeue_at: datetime | None = None


@dataclass(frozen=True)
class Succeeded:
    """The work is done; the report is None where it is lost and not needed."""

    report: Report | None


@dataclass(frozen=True)
class Failed:
    """The attempt failed."""

    failure: FailureReport
    interrupted: bool = False
    """Ended by a disruption, which does not count as a failure."""


Outcome = Running | Succeeded | Failed


def outcome(job: Job, pods: tuple[Pod, ...], config: OperatorConfig, now: datetime, check: Check) -> Outcome:
    """Determine the outcome of one attempt.

    Args:
        job: The Job.
        pods: Its pods, replaced ones included.
        config: Grace times.
        now: The time of the decision.
        check: Compares a report with what is known.
    """
    reported = [found for pod in pods if (found := _reported(job, pod, check)) is not None]
    if reported:
        return next((each for each in reported if isinstance(each, Succeeded)), reported[0])
    if job.failed:
        return _failed(job, pods, config, now)
    if job.complete:
        return _complete_without_report(job, config, now)
    if job.deleting:
        return Failed(_failure(ErrorCode.EVICTED, "the Job was deleted"), interrupted=True)
    if (evicted := _evicted_again_and_again(pods, config)) is not None:
        return evicted
    ended = _node_lost(pods, config, now) or _never_started(job, pods, config, now)
    return ended or Running(min(_deadlines(job, pods, config), default=None))


def _evicted_again_and_again(pods: tuple[Pod, ...], config: OperatorConfig) -> Failed | None:
    """The Job controller replaces evicted pods without end; one that fills its disk is evicted each time. This is a failure."""
    evicted = [pod for pod in pods if pod.phase == "Failed" and pod.disrupted]
    if len(evicted) < config.max_interruptions:
        return None
    return Failed(_infer_failure(max(evicted, key=lambda pod: (pod.created, pod.resource_version))))


def running_seconds(job: Job, pods: tuple[Pod, ...], now: datetime) -> float:
    """Seconds that an attempt's containers have run; the Job's lifetime where the pods are gone."""
    if not pods:
        return (job.ended - job.created).total_seconds() if job.ended and job.created else 0.0
    mains = [c for pod in pods for c in pod.containers if not c.init and c.started]
    return sum(max(0.0, ((c.ended or now) - c.started).total_seconds()) for c in mains if c.started)


def _reported(job: Job, pod: Pod, check: Check) -> Succeeded | Failed | None:
    """The success that a pod reports; a failed attempt where the report is none of its work; None without a report."""
    if pod.phase != "Succeeded":
        return None
    main = next((c for c in pod.containers if not c.init), None)
    if main is None or not main.message:
        return None
    report = decode_report(main.message)
    if not isinstance(report, REPORTS[job.stage]):
        return _invalid_report(job, "it is none of this stage, or breaks a bound")
    problem = check(job, report)
    return Succeeded(report) if problem is None else _invalid_report(job, problem)


def _invalid_report(job: Job, problem: str) -> Failed:
    return Failed(_failure(ErrorCode.INTERNAL, f"the report of {job.stage.value} is invalid: {problem}"))


def _complete_without_report(job: Job, config: OperatorConfig, now: datetime) -> Outcome:
    """A chunk without a report is in the store (stitch verifies it). Other reports are needed, so their stage runs again."""
    if job.stage is Stage.RENDER:
        return Succeeded(None)
    deadline = _after(job.ended, config.missing_report_seconds)
    if deadline and now < deadline:
        return Running(deadline)
    return Failed(_failure(ErrorCode.EVICTED, "the pod was deleted before its report was read"), interrupted=True)


def _failed(job: Job, pods: tuple[Pod, ...], config: OperatorConfig, now: datetime) -> Outcome:
    ended = [pod for pod in pods if pod.phase == "Failed"]
    if ended:
        last = max(ended, key=lambda pod: (pod.created, pod.resource_version))
        return Failed(_infer_failure(last), interrupted=last.disrupted)
    deadline = _after(job.ended, config.missing_report_seconds)
    if deadline and now < deadline:
        return Running(deadline)
    return Failed(_failure(ErrorCode.INTERNAL, job.message or "the Job failed, and no pod is left to say why"))


def _node_lost(pods: tuple[Pod, ...], config: OperatorConfig, now: datetime) -> Failed | None:
    """A pod on a lost node stays Terminating, and its Job waits for it. The next attempt must not wait."""
    for pod in pods:
        limit = _after(pod.deletion, config.lost_pod_seconds)
        if limit and limit <= now and pod.phase not in ("Succeeded", "Failed"):
            return Failed(_failure(ErrorCode.NODE_LOST, "the pod's node has stopped responding"), interrupted=True)
    return None


def _never_started(job: Job, pods: tuple[Pod, ...], config: OperatorConfig, now: datetime) -> Failed | None:
    """A pod that cannot start (no node is large enough, a claim is missing, a quota is used up) holds a slot that others need.

    It gives the slot back, and is tried again when it is its turn. Where nothing is bounded, nobody waits for it.
    """
    limit = _start_limit(job, pods, config)
    if limit is None or now < limit:
        return None
    found = next(filter(None, map(problem_of, pods)), None)
    why = f": {found[1]}" if found else ""
    message = f"the pod did not start within {config.start_seconds:.0f} s, and others wait for its slot{why}"
    return Failed(_failure(ErrorCode.TIMEOUT, message), interrupted=True)


def _start_limit(job: Job, pods: tuple[Pod, ...], config: OperatorConfig) -> datetime | None:
    """When a Job that takes a slot is given up, because its pod has not started; None where it has, or takes none."""
    if config.limit(job.stage) is None or job.queued or job.suspended:
        return None
    if not pods:
        return _after(job.created, config.start_seconds)
    waiting = [pod.created for pod in pods if pod.phase == "Pending" and pod.started is None]
    return _after(max(waiting), config.start_seconds) if waiting else None


def _deadlines(job: Job, pods: tuple[Pod, ...], config: OperatorConfig) -> list[datetime]:
    """When the first pod that is being deleted counts as lost, or one that has not started is given up."""
    limits = (*(_after(pod.deletion, config.lost_pod_seconds) for pod in pods), _start_limit(job, pods, config))
    return [limit for limit in limits if limit]


def _infer_failure(pod: Pod) -> FailureReport:
    """What a failed pod reports, or what Kubernetes says about it, or what its exit status means, in that order."""
    failed = [c for c in pod.containers if c.exit_status]
    for container in failed:
        report = decode_report(container.message)
        if isinstance(report, FailureReport):
            return report
    if any(c.reason == "OOMKilled" and c.name != PARSER for c in failed):
        return _failure(ErrorCode.OOM, "a container exceeded its memory limit")
    if pod.reason == "DeadlineExceeded":
        return _failure(ErrorCode.TIMEOUT, "the stage exceeded the profile's deadline")
    if pod.disrupted or pod.reason == "Evicted":
        return _failure(ErrorCode.EVICTED, pod.message or "the pod was evicted")
    if any(c.name == PARSER and (c.reason == "OOMKilled" or c.exit_status in KERNEL_KILLS) for c in failed):
        return _failure(ErrorCode.INPUT_VALIDATION, UNBEARABLE)
    return _failure_of_exit_status(failed)


def _failure_of_exit_status(failed: list[Container]) -> FailureReport:
    first = next(iter(failed), None)
    if first is None or first.exit_status is None:
        return _failure(ErrorCode.INTERNAL, "the pod failed, and no container says why")
    code = EXIT_STATUSES.get(first.exit_status, ErrorCode.INTERNAL)
    found = f"container {first.name} exited with status {first.exit_status} and without a report; its log may say more"
    return _failure(code, f"{ERRORS[code].meaning} ({found})" if code is not ErrorCode.INTERNAL else found)


def _failure(code: ErrorCode, message: str) -> FailureReport:
    return FailureReport(code=code, message=truncate(message, MAX_MESSAGE_BYTES), retryable=ERRORS[code].retryable)


def _after(moment: datetime | None, seconds: float) -> datetime | None:
    return moment + timedelta(seconds=seconds) if moment else None
