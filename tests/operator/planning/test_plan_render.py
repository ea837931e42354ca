"""Which chunks start, and when."""

from datetime import timedelta
from typing import Any

from tests.operator.fake_cluster import START, FakeCluster, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_operator.planning.admission import Admission, Queue, QueueEntry


def rendering(**queue: Any) -> Admission:
    return Admission({Stage.RENDER: Queue(**queue)})


def test_chunks_start_in_the_decision_that_reads_the_plan_and_only_three_at_once() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    cluster.succeed_pod(cluster.job(Stage.PREPARE))
    decision = cluster.reconcile()
    assert created_jobs(decision) == [(Stage.RENDER, i, 0) for i in (0, 1, 2)]
    assert cluster.status.chunks.summary == "0/5"


def test_max_parallel_limits_the_chunks_and_changing_it_is_no_new_revision() -> None:
    cluster = FakeCluster(document=spec(chunking={"maxParallel": 2})).prepared()
    assert len(cluster.active()) == 2
    revision = cluster.video.revision
    cluster.edit(spec(chunking={"maxParallel": 4}))
    assert cluster.video.revision == revision
    assert len(created_jobs(cluster.reconcile())) == 2


def test_only_chunks_missing_in_the_store_are_rendered() -> None:
    cluster = FakeCluster(missing=(1, 3)).prepared()
    assert {job.chunk for job in cluster.active()} == {1, 3}
    assert cluster.status.chunks.reused == 3


def test_chained_chunks_are_rendered_one_at_a_time_in_order_whatever_max_parallel_says() -> None:
    cluster = FakeCluster(chunks=3, chained=True, document=spec(chunking={"maxParallel": 3})).prepared()
    assert cluster.status.chunks.chained is True
    stage_input = []
    while cluster.active() and cluster.active()[0].stage is Stage.RENDER:
        (job,) = cluster.active()
        stage_input.append(job.chunk)
        cluster.finish(job)
        cluster.reconcile()
    assert stage_input == [0, 1, 2]


def test_a_chained_chunk_waits_for_the_next_attempt_of_the_one_before() -> None:
    cluster = FakeCluster(chunks=3, chained=True).prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0))
    assert created_jobs(cluster.reconcile()) == []
    cluster.wait(10)
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_a_chained_video_renders_the_missing_chunks_between_finished_ones() -> None:
    cluster = FakeCluster(chunks=5, chained=True, missing=(1, 3)).prepared()
    assert [job.chunk for job in cluster.active()] == [1]
    cluster.finish(cluster.job(Stage.RENDER, 1))
    assert created_jobs(cluster.reconcile()) == [(Stage.RENDER, 3, 0)]


def test_a_video_that_waits_for_a_render_slot_shows_its_position() -> None:
    cluster = FakeCluster()
    first = QueueEntry("other", "ns", 0, START - timedelta(hours=1), wanted=5)
    cluster.admission = rendering(limit=2, active={"ns": 2}, entries={"other": first})
    cluster.prepared()
    assert cluster.active() == []
    assert cluster.status.queue_position == 2
    assert cluster.condition("Ready").reason is Reason.QUEUED


def test_a_video_that_was_granted_some_slots_is_requeued_for_more() -> None:
    cluster = FakeCluster()
    cluster.admission = rendering(limit=1)
    cluster.prepared()
    assert len(cluster.active()) == 1
    for job in cluster.active():
        cluster.run_pod(job)
    cluster.wait(60)
    cluster.admission = rendering(limit=1, active={"ns": 1})
    assert cluster.reconcile().requeue_at == cluster.now + timedelta(seconds=30)


def test_the_limits_do_not_apply_to_jobs_of_a_kueue_queue() -> None:
    cluster = FakeCluster(document=spec(queueName="gpu"))
    cluster.admission = rendering(limit=1, active={"ns": 1})
    cluster.prepared()
    assert len(cluster.active()) == 3
