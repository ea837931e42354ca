"""Attempts: which count, when the next starts, and when the operator gives up."""

from datetime import timedelta
from typing import Any

import pytest
from tests.operator.fake_cluster import START, FakeCluster, config, created_jobs

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage


def test_a_failed_chunk_is_tried_again_after_its_back_off_while_others_continue() -> None:
    cluster = FakeCluster().prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0))
    decision = cluster.reconcile()
    assert created_jobs(decision) == [(Stage.RENDER, 3, 0)]
    assert decision.requeue_at == START + timedelta(seconds=10)
    assert any(e.reason is Reason.RETRYING and "chunk 0" in e.message for e in decision.events)
    cluster.finish(cluster.job(Stage.RENDER, 1))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 4, 0)]
    cluster.wait(10)
    cluster.finish(cluster.job(Stage.RENDER, 2))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_back_off_doubles() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    waits = []
    for _ in range(3):
        cluster.fail(cluster.job(Stage.RENDER, 0))
        cluster.reconcile()
        waits.append((cluster.status.chunks.failed[0].not_before - cluster.now).total_seconds())
        cluster.wait(waits[-1])
        cluster.reconcile()
    assert waits == [10, 20, 40]


def test_the_video_fails_after_the_profiles_attempts_and_ends_what_runs() -> None:
    cluster = FakeCluster(chunks=2).prepared()
    for _ in range(4):
        cluster.fail(cluster.job(Stage.RENDER, 0))
        cluster.reconcile()
        cluster.wait(300)
        cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is ErrorCode.FFMPEG
    assert (cluster.status.failure.stage, cluster.status.failure.chunk) == (Stage.RENDER, 0)
    assert cluster.condition("Stalled").status == cluster.condition("Failed").status == "True"
    assert cluster.active() == []
    assert not cluster.reconcile().creates


@pytest.mark.parametrize("code", [ErrorCode.INPUT_VALIDATION, ErrorCode.OUTPUT_EXISTS, ErrorCode.STORE_ACCESS])
def test_a_users_error_fails_at_once(code: Any) -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    cluster.fail(cluster.job(Stage.PREPARE), code)
    decision = cluster.reconcile()
    assert not decision.creates
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is code


def test_a_report_may_say_that_a_retryable_code_is_not_worth_a_retry() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    job = cluster.job(Stage.PREPARE)
    message = '{"kind": "failure", "code": "E_DOWNLOAD_FAILED", "message": "404", "retryable": false}'
    cluster.fail(job, ErrorCode.DOWNLOAD_FAILED, message=message)
    cluster.reconcile()
    assert cluster.phase == "Failed"


def test_an_evicted_pod_is_replaced_by_the_job_controller_and_nothing_is_counted() -> None:
    cluster = FakeCluster().prepared()
    cluster.evict(cluster.job(Stage.RENDER, 0))
    assert not cluster.reconcile().creates
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    assert cluster.status.chunks.done == 1
    assert cluster.status.chunks.failed == ()


def test_a_pod_on_a_lost_node_is_given_up_after_the_grace_time_without_counting_a_failure() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    lost = cluster.job(Stage.RENDER, 0)
    cluster.lose_node(lost)
    decision = cluster.reconcile()
    assert not decision.creates
    assert decision.requeue_at == START + timedelta(seconds=15)
    cluster.wait(60)
    decision = cluster.reconcile()
    assert created_jobs(decision) == [(Stage.RENDER, 0, 1)]
    assert lost.name not in cluster.jobs
    assert (cluster.status.chunks.failed[0].failures, cluster.status.chunks.failed[0].interruptions) == (0, 1)


def test_interruptions_are_limited() -> None:
    cluster = FakeCluster(chunks=1, settings=config(maxInterruptions=3)).prepared()
    for _ in range(3):
        cluster.lose_node(cluster.job(Stage.RENDER, 0))
        cluster.wait(61)
        cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is ErrorCode.NODE_LOST


def test_a_deleted_job_is_created_again() -> None:
    cluster = FakeCluster().prepared()
    cluster.delete_job(cluster.job(Stage.RENDER, 1).name)
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 1, 0)]


def test_a_job_that_is_still_being_deleted_is_followed_by_the_next_attempt() -> None:
    cluster = FakeCluster().prepared()
    cluster.set_job(cluster.job(Stage.RENDER, 1), deleting=True)
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 1, 1)]
    assert cluster.status.chunks.failed[0].failures == 0
