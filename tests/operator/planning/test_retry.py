"""Starting over: on request, and when the store has lost files."""

from datetime import timedelta

from tests.operator.fake_cluster import FakeCluster, config, created_jobs

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_operator.planning.decision import EnsureStageInput


def test_the_retry_annotation_keeps_finished_chunks_and_never_reuses_a_number() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 1))
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    assert cluster.phase == "Failed"
    cluster.wait(3600)
    cluster.retry("once")
    decision = cluster.reconcile()
    assert (Stage.RENDER, 0, 1) in created_jobs(decision)
    assert EnsureStageInput() in decision.creates
    assert 1 not in {chunk for _, chunk, _ in created_jobs(decision)}
    assert cluster.status.failure is None
    assert cluster.phase == "Rendering"
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert not cluster.reconcile().creates


def test_a_retry_interrupted_before_its_status_write_starts_no_chunk_twice() -> None:
    cluster = FakeCluster().prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    cluster.retry("once")
    cluster.reconcile(crash_after=2)
    cluster.reconcile()
    chunks = [job.chunk for job in cluster.active()]
    assert len(chunks) == len(set(chunks))


def test_a_retry_after_the_store_has_lost_a_chunk_renders_what_is_missing() -> None:
    cluster = FakeCluster().prepared()
    while cluster.phase == "Rendering":
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    while cluster.phase == "Stitching":
        if cluster.active():
            cluster.fail(cluster.job(Stage.STITCH), ErrorCode.WORKSPACE)
        cluster.wait(3600)
        cluster.reconcile()
    assert cluster.phase == "Failed"
    cluster.missing = (2,)
    cluster.retry("once")
    cluster.settle()
    assert [(job.stage, job.attempt) for job in cluster.active()] == [(Stage.PREPARE, 1)]
    cluster.finish(cluster.job(Stage.PREPARE))
    cluster.settle()
    assert [(job.stage, job.chunk, job.attempt) for job in cluster.active()] == [(Stage.RENDER, 2, 1)]
    assert cluster.status.chunks.summary == "4/5"
    cluster.finish(cluster.job(Stage.RENDER, 2))
    cluster.settle()
    cluster.finish(cluster.job(Stage.STITCH))
    cluster.settle()
    assert cluster.phase == "Succeeded"


def test_a_retry_after_the_store_has_lost_the_plan_prepares_again() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    while cluster.phase == "Rendering":
        for job in cluster.active():
            cluster.fail(job, ErrorCode.WORKSPACE)
        cluster.wait(3600)
        cluster.reconcile()
    assert cluster.status.failure.code is ErrorCode.WORKSPACE
    cluster.missing = (1, 2)
    cluster.retry("once")
    cluster.settle()
    assert [(job.stage, job.attempt) for job in cluster.active()] == [(Stage.PREPARE, 1)]
    cluster.finish(cluster.job(Stage.PREPARE))
    cluster.settle()
    assert {job.chunk for job in cluster.active()} == {1, 2}
    assert cluster.status.chunks.summary == "3/5"


def test_the_video_is_prepared_again_without_a_request_when_the_store_has_lost_files() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    cluster.report_lost_files(cluster.job(Stage.RENDER, 1))
    decision = cluster.reconcile()
    assert cluster.phase == "Preparing"
    assert Reason.RETRYING in {event.reason for event in decision.events}
    assert not cluster.active(), "no pod goes on with a plan that is of no use"
    assert not decision.creates
    assert decision.requeue_at == cluster.now + timedelta(seconds=10)
    cluster.missing = (1, 2)
    cluster.wait(10)
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]
    cluster.finish(cluster.job(Stage.PREPARE))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 1, 1), (Stage.RENDER, 2, 0)]
    assert cluster.status.chunks.summary == "3/5"


def test_the_join_has_all_its_attempts_again_after_it_has_found_a_chunk_lost() -> None:
    cluster = FakeCluster(settings=config(profile={"stitch": {"attempts": 2}})).prepared()
    while cluster.phase == "Rendering":
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    cluster.report_lost_files(cluster.job(Stage.STITCH))
    cluster.settle()
    cluster.missing = (2,)
    cluster.wait(10)
    for stage, chunk in ((Stage.PREPARE, None), (Stage.RENDER, 2)):
        cluster.settle()
        cluster.finish(cluster.job(stage, chunk))
    cluster.settle()
    cluster.fail(cluster.job(Stage.STITCH))
    cluster.reconcile()
    assert cluster.phase == "Stitching"
    cluster.wait(10)
    cluster.settle()
    cluster.finish(cluster.job(Stage.STITCH))
    cluster.settle()
    assert cluster.phase == "Succeeded"


def test_a_store_that_keeps_losing_files_fails_the_video_after_the_attempts_of_prepare() -> None:
    cluster = FakeCluster(settings=config(profile={"prepare": {"attempts": 3}})).prepared()
    for _ in range(2):
        cluster.report_lost_files(cluster.job(Stage.RENDER, 0))
        cluster.reconcile()
        cluster.wait(300)
        cluster.reconcile()
        cluster.finish(cluster.job(Stage.PREPARE))
        cluster.reconcile()
    cluster.report_lost_files(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is ErrorCode.WORKSPACE
    assert cluster.job(Stage.PREPARE).attempt == 2
    cluster.retry("once")
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 3)]


def test_an_unreachable_store_is_tried_again_and_nothing_is_prepared_again() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.WORKSPACE)
    cluster.reconcile()
    assert cluster.phase == "Rendering"
    cluster.wait(10)
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_preparing_again_survives_lost_writes_of_status() -> None:
    """Without a back-off prepare starts in the decision that finds the loss, and everything else before status is written."""
    cluster = FakeCluster(settings=config(backOff={"firstSeconds": 0})).prepared()
    cluster.wait(30)
    cluster.report_lost_files(cluster.job(Stage.RENDER, 0))
    before_status = -1
    cluster.reconcile(crash_after=before_status)
    again = cluster.job(Stage.PREPARE)
    assert again.attempt == 1
    cluster.reconcile(crash_after=before_status)
    cluster.finish(again)
    cluster.reconcile(crash_after=before_status)
    chunks = {job.uid for job in cluster.active()}
    assert {(job.chunk, job.attempt) for job in cluster.active()} == {(0, 1), (1, 0), (2, 0)}
    cluster.reconcile(crash_after=before_status)
    assert {job.uid for job in cluster.active()} == chunks, "work of the new plan goes on"
    cluster.wait(30)
    cluster.report_lost_files(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    assert cluster.phase == "Preparing", "the second loss is one, too, though status has heard of none"
    assert [(job.stage, job.attempt) for job in cluster.active()] == [(Stage.PREPARE, 2)]
