"""What counts as ended."""

from datetime import timedelta

from tests.operator.fake_cluster import START, FakeCluster, created_jobs

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_bitmap


def test_a_pods_report_counts_before_its_job_says_complete() -> None:
    cluster = FakeCluster().prepared()
    cluster.succeed_pod(cluster.job(Stage.RENDER, 0))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 3, 0)]
    assert cluster.status.chunks.done == 1
    cluster.complete_job(cluster.job(Stage.RENDER, 0))
    assert not cluster.reconcile().creates


def test_a_complete_render_job_without_a_report_counts_as_done() -> None:
    cluster = FakeCluster().prepared()
    job = cluster.job(Stage.RENDER, 0)
    cluster.pods = {uid: p for uid, p in cluster.pods.items() if p.job_uid != job.uid}
    cluster.complete_job(job)
    cluster.reconcile()
    assert decode_bitmap(cluster.status.chunks.finished, 5) == [0]


def test_the_report_of_a_complete_prepare_job_is_awaited_and_then_prepare_runs_again() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    job = cluster.job(Stage.PREPARE)
    cluster.pods.clear()
    cluster.complete_job(job)
    decision = cluster.reconcile()
    assert not decision.creates
    assert decision.requeue_at == START + timedelta(seconds=cluster.settings.missing_report_seconds)
    cluster.wait(11)
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]


def test_chunks_started_before_the_plan_was_written_into_status_are_not_started_again() -> None:
    cluster = FakeCluster().prepare_ended()
    cluster.reconcile(crash_after=4)
    first = {job.name for job in cluster.active()}
    assert len(first) == 3
    assert cluster.status.plan_digest is None
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.settle()
    assert cluster.status.chunks.summary == "1/5"
    assert {job.attempt for job in cluster.jobs.values()} == {0}
    assert first <= set(cluster.jobs)


def test_a_chained_chunk_whose_job_was_deleted_counts_as_finished_once_the_next_was_started() -> None:
    cluster = FakeCluster(chunks=3, chained=True).prepared()
    first = cluster.job(Stage.RENDER, 0)
    cluster.finish(first)
    cluster.reconcile(crash_after=2)
    cluster.delete_job(first.name)
    assert not created_jobs(cluster.reconcile())
    assert [job.chunk for job in cluster.active()] == [1]
    assert decode_bitmap(cluster.status.chunks.finished, 3) == [0]


def test_a_chained_chunk_that_the_store_has_lost_is_rendered_although_later_chunks_have_jobs() -> None:
    cluster = FakeCluster(chunks=3, chained=True).prepared()
    for chunk in (0, 1):
        cluster.finish(cluster.job(Stage.RENDER, chunk))
        cluster.reconcile()
    cluster.report_lost_files(cluster.job(Stage.RENDER, 2))
    cluster.settle()
    cluster.missing = (0, 2)
    cluster.wait(10)
    cluster.settle()
    cluster.finish(cluster.job(Stage.PREPARE))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]
