"""The outcome of one attempt."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from tests.operator.fake_cluster import START, config

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, RenderReport
from talkingvideo_clients.kube.objects import Container, Job, Pod
from talkingvideo_operator.planning.outcome import Failed, Running, Succeeded, outcome

JOB = Job("j", "ns", "job", "v", 1, "r", Stage.RENDER, 0, 0, created=START)
FAILED = Job("j", "ns", "job", "v", 1, "r", Stage.RENDER, 0, 0, created=START, failed=True, ended=START)
REPORT = RenderReport(chunk=0, key="a" * 64, frames=9).to_json()


def pod(phase: Any, *containers: Any, **changes: Any) -> Any:
    return Pod("p", "ns", "pod", "v", "j", 1, phase, START, containers=containers, **changes)


def main(exit_status: Any = 0, message: Any = "", reason: Any = "", name: Any = "render", *, init: Any = False) -> Any:
    return Container(name, init, started=START, ended=START, exit_status=exit_status, reason=reason, message=message)


def judge(job: Any, *pods: Any, after: Any = 0, problem: str | None = None) -> Any:
    return outcome(job, pods, config(), START + timedelta(seconds=after), lambda _job, _report: problem)


def test_the_report_of_a_succeeded_pod_counts_before_its_job_is_complete() -> None:
    found = judge(JOB, pod("Succeeded", main(message=REPORT)))
    assert isinstance(found, Succeeded)
    assert isinstance(found.report, RenderReport)
    assert found.report.frames == 9


def test_without_a_message_there_is_no_report() -> None:
    assert judge(JOB, pod("Succeeded", main(message=""))) == Running(None)


@pytest.mark.parametrize(
    "message",
    [
        "garbage",
        '{"kind"',
        '{"kind": "prepare"}',
        "{}",
        "[" * 100_000,
        FailureReport.of(StageError.invalid("x")).to_json(),
    ],
)
def test_a_success_that_reports_something_else_is_a_failed_attempt(message: str) -> None:
    found = judge(JOB, pod("Succeeded", main(message=message)))
    assert isinstance(found, Failed) and not found.interrupted
    assert (found.failure.code, found.failure.retryable) == (ErrorCode.INTERNAL, True)
    assert "the report of render is invalid" in found.failure.message


def test_a_report_of_another_stage_is_a_failed_attempt() -> None:
    prepare = Job("j", "ns", "job", "v", 1, "r", Stage.PREPARE, None, 0)
    assert isinstance(judge(prepare, pod("Succeeded", main(message=REPORT))), Failed)


def test_a_report_that_contradicts_what_is_known_is_a_failed_attempt() -> None:
    found = judge(JOB, pod("Succeeded", main(message=REPORT)), problem="it is for chunk 7")
    assert isinstance(found, Failed)
    assert found.failure.message == "the report of render is invalid: it is for chunk 7"


def test_a_valid_report_counts_whatever_another_pod_of_the_job_says() -> None:
    found = judge(JOB, pod("Succeeded", main(message="forged")), pod("Succeeded", main(message=REPORT)))
    assert isinstance(found, Succeeded)


def test_the_report_of_a_pod_that_has_not_succeeded_does_not_count() -> None:
    assert judge(JOB, pod("Running", main(message=REPORT))) == Running(None)


def test_a_failed_pod_alone_is_not_yet_a_failure() -> None:
    assert judge(JOB, pod("Failed", main(33))) == Running(None)


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        (pod("Failed", main(137, reason="OOMKilled")), ErrorCode.OOM),
        (pod("Failed", main(143), reason="DeadlineExceeded"), ErrorCode.TIMEOUT),
        (pod("Failed", main(137), reason="Evicted", message="disk"), ErrorCode.EVICTED),
        (pod("Failed", main(34)), ErrorCode.FFMPEG),
        (pod("Failed", main(1)), ErrorCode.INTERNAL),
        (pod("Failed"), ErrorCode.INTERNAL),
        (pod("Failed", main(10, name="fetch", init=True), Container("render", init=False)), ErrorCode.INPUT_VALIDATION),
    ],
)
def test_the_failure_of_a_pod_without_a_report_is_inferred(failed: Any, code: Any) -> None:
    found = judge(FAILED, failed)
    assert isinstance(found, Failed) and found.failure.code is code


PARSER_ENDS = [
    main(137, reason="OOMKilled", name="process", init=True),
    *(main(status, name="process", init=True) for status in (132, 134, 135, 136, 137, 139, 152, 153, 159)),
]


@pytest.mark.parametrize("end", PARSER_ENDS)
def test_what_the_kernel_kills_while_it_reads_inputs_is_the_inputs_fault(end: Any) -> None:
    found = judge(FAILED, pod("Failed", end, Container("publish", init=False)))
    assert isinstance(found, Failed) and not found.interrupted
    assert (found.failure.code, found.failure.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert "memory or computing time" in found.failure.message


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"reason": "DeadlineExceeded"}, ErrorCode.TIMEOUT),
        ({"reason": "Evicted"}, ErrorCode.EVICTED),
        ({"disrupted": True}, ErrorCode.EVICTED),
    ],
)
def test_a_parser_that_was_stopped_from_outside_is_not(changes: Any, code: Any) -> None:
    found = judge(FAILED, pod("Failed", main(137, name="process", init=True), **changes))
    assert isinstance(found, Failed) and found.failure.code is code


@pytest.mark.parametrize("name", ["fetch", "publish", "render", "stitch"])
def test_memory_that_others_lack_is_the_clusters(name: Any) -> None:
    found = judge(FAILED, pod("Failed", main(137, reason="OOMKilled", name=name)))
    assert isinstance(found, Failed)
    assert (found.failure.code, found.failure.retryable) == (ErrorCode.OOM, True)


def test_a_report_says_more_than_the_pods_state() -> None:
    message = FailureReport(code=ErrorCode.OOM, message="40 GB needed", field="spec.video", retryable=False).to_json()
    found = judge(FAILED, pod("Failed", main(30, message=message)))
    assert (found.failure.message, found.failure.field, found.failure.retryable) == (
        "40 GB needed",
        "spec.video",
        False,
    )


def test_only_a_disruption_is_no_failure() -> None:
    assert judge(FAILED, pod("Failed", main(137), disrupted=True)).interrupted
    assert not judge(FAILED, pod("Failed", main(137), reason="Evicted")).interrupted


WAITING = Container("render", init=False, waiting_reason="CreateContainerConfigError", waiting_message="no secret s3")
STARTED = Container("render", init=False, started=START)
QUEUED = replace(JOB, queued=True)
STUCK = [
    (JOB, (), "before"),
    (JOB, (pod("Pending"),), "before"),
    (JOB, (pod("Pending", unschedulable="0/3 nodes are available"),), "0/3 nodes are available"),
    (JOB, (pod("Pending", WAITING),), "no secret s3"),
    (JOB, (pod("Failed", disrupted=True), pod("Pending")), "before"),
]
NOT_STUCK = [
    (JOB, (pod("Running", STARTED),)),
    (JOB, (pod("Pending", STARTED),)),
    (JOB, (pod("Failed", disrupted=True),)),
    (JOB, (replace(pod("Pending"), created=START + timedelta(seconds=60)),)),
    (QUEUED, ()),
    (replace(JOB, suspended=True), ()),
]


@pytest.mark.parametrize(("job", "pods", "why"), STUCK)
def test_a_pod_that_does_not_start_gives_its_slot_back(job: Job, pods: Any, why: str) -> None:
    def judged(after: int) -> Any:
        bounded = config(maxParallel=4, startSeconds=60)
        return outcome(job, pods, bounded, START + timedelta(seconds=after), lambda _job, _report: None)

    assert judged(59) == Running(START + timedelta(seconds=60))
    found = judged(60)
    assert isinstance(found, Failed) and found.interrupted
    assert (found.failure.code, found.failure.retryable) == (ErrorCode.TIMEOUT, True)
    assert "did not start within 60 s" in found.failure.message
    assert why == "before" or why in found.failure.message


@pytest.mark.parametrize(("job", "pods"), NOT_STUCK)
def test_a_pod_that_has_started_or_takes_no_slot_keeps_its_time(job: Job, pods: Any) -> None:
    bounded = config(maxParallel=4, startSeconds=60)
    assert isinstance(outcome(job, pods, bounded, START + timedelta(seconds=60), lambda *_: None), Running)


@pytest.mark.parametrize("pods", [(), (pod("Pending"),)])
def test_where_nothing_is_bounded_nobody_waits_for_a_slot(pods: Any) -> None:
    later = START + timedelta(days=1)
    assert outcome(JOB, pods, config(startSeconds=60), later, lambda *_: None) == Running(None)


def test_the_pod_of_a_failed_job_is_awaited_for_a_while() -> None:
    assert judge(FAILED) == Running(START + timedelta(seconds=10))
    assert judge(FAILED, after=10).failure.code is ErrorCode.INTERNAL


def test_the_last_of_several_pods_decides() -> None:
    first = pod("Failed", main(137), disrupted=True)
    last = Pod("p2", "ns", "pod2", "v", "j", 2, "Failed", START + timedelta(seconds=9), containers=(main(12),))
    found = judge(FAILED, first, last)
    assert found.failure.code is ErrorCode.OUTPUT_EXISTS and not found.interrupted


def test_a_pod_that_is_evicted_again_and_again_is_a_failure_and_not_replaced_without_end() -> None:
    evicted = pod("Failed", disrupted=True, reason="Evicted", message="its disk is full")
    assert isinstance(judge(JOB, *[evicted] * 9), Running)
    found = judge(JOB, *[evicted] * 10)
    assert isinstance(found, Failed)
    assert not found.interrupted
    assert found.failure.code is ErrorCode.EVICTED
