"""The life of a video, step by step."""

from datetime import timedelta

from tests.operator.fake_cluster import START, FakeCluster, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_operator.planning.decision import CreateJob, DeleteChildren, EnsureStageInput


def test_the_first_decision_accepts_the_video_and_starts_prepare() -> None:
    cluster = FakeCluster()
    decision = cluster.reconcile()
    assert decision.creates == (EnsureStageInput(), CreateJob(Stage.PREPARE, 0))
    assert cluster.phase == "Preparing"
    assert cluster.status.observed_generation == 1
    assert cluster.condition("Reconciling").status == "True"
    assert cluster.condition("Ready").status == "False"
    assert cluster.status.effective.engine == "preview"


def test_nothing_is_written_or_created_when_nothing_has_changed() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    decision = cluster.reconcile()
    assert not decision.creates
    assert cluster.status_writes == 1


def test_the_whole_life_ends_with_ready_and_complete_and_the_result_in_status() -> None:
    cluster = FakeCluster().prepared()
    while cluster.active():
        for job in cluster.active():
            cluster.finish(job)
        cluster.reconcile()
    assert cluster.phase == "Succeeded"
    assert cluster.condition("Complete").status == cluster.condition("Ready").status == "True"
    assert cluster.condition("Reconciling").status == cluster.condition("Stalled").status == "False"
    assert cluster.status.output.frame_count == 500
    assert cluster.status.progress == 100
    assert cluster.status.chunks.active == ()
    assert cluster.status.usage.gpu_seconds == 150
    assert [name.rpartition("-")[0].rpartition("-")[2] for name in cluster.created] == [
        "prepare", "r0", "r1", "r2", "r3", "r4", "stitch",
    ]  # fmt: skip


def test_writes_of_a_whole_life_stay_below_2n_plus_12() -> None:
    cluster = FakeCluster(chunks=20, document=spec(chunking={"maxParallel": 1})).prepared()
    while cluster.active():
        cluster.finish(cluster.active()[0])
        cluster.settle()
    stage_input = 1
    assert cluster.status_writes + len(cluster.created) + stage_input <= 2 * 20 + 12


def test_suspending_ends_unfinished_work_and_keeps_finished_chunks() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.edit(spec(suspend=True))
    decision = cluster.reconcile()
    assert not decision.creates
    assert cluster.active() == []
    assert cluster.phase == "Suspended"
    assert cluster.condition("Suspended").status == "True"
    assert cluster.status.chunks.done == 1
    cluster.edit(spec())
    decision = cluster.reconcile()
    assert {chunk for _, chunk, _ in created_jobs(decision)} == {1, 2, 3}
    assert any(e.reason is Reason.RESUMED for e in decision.events)


def test_a_video_created_suspended_starts_nothing() -> None:
    cluster = FakeCluster(document=spec(suspend=True))
    assert not cluster.reconcile().creates
    assert cluster.phase == "Suspended"


def test_an_edit_starts_a_new_revision_and_deletes_the_old_ones_children() -> None:
    cluster = FakeCluster().prepared()
    old = cluster.video.revision
    cluster.edit(spec(prompt="another"))
    decision = cluster.reconcile()
    assert DeleteChildren(keep_revision=cluster.video.revision) in decision.deletes
    assert created_jobs(decision) == [(Stage.PREPARE, None, 0)]
    assert cluster.status.revision != old
    assert cluster.status.chunks is None
    assert any(e.reason is Reason.REVISED for e in decision.events)


def test_an_edit_of_a_finished_video_makes_it_again() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    while cluster.active():
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    cluster.edit(spec(prompt="another"))
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]
    assert cluster.condition("Complete").status == "False"
    assert cluster.status.output is None


def test_dry_run_ends_after_prepare_without_a_gpu() -> None:
    cluster = FakeCluster(document=spec(dryRun=True)).prepared()
    assert cluster.phase == "Succeeded"
    assert cluster.condition("Complete").reason is Reason.DRY_RUN_FINISHED
    assert {job.stage for job in cluster.jobs.values()} == {Stage.PREPARE}


def test_the_deadline_fails_the_video_and_a_retry_gives_it_the_whole_time_again() -> None:
    cluster = FakeCluster(document=spec(activeDeadlineSeconds=100)).prepared()
    assert cluster.decision.requeue_at <= START + timedelta(seconds=100)
    cluster.wait(100)
    cluster.reconcile()
    assert cluster.status.failure.code is ErrorCode.TIMEOUT
    assert cluster.condition("Failed").reason is Reason.DEADLINE_EXCEEDED
    cluster.retry("more time")
    cluster.reconcile()
    assert cluster.phase == "Rendering"


def test_children_are_deleted_when_their_time_is_over_and_the_result_is_not() -> None:
    cluster = FakeCluster(document=spec(dryRun=True, ttlSecondsAfterFinished=60)).prepared()
    assert cluster.reconcile().requeue_at == START + timedelta(seconds=60)
    cluster.wait(60)
    assert cluster.reconcile().deletes == (DeleteChildren(keep_revision=None),)
    assert cluster.jobs == {}
    assert cluster.reconcile().deletes == ()


def test_changing_the_ttl_of_a_finished_video_is_observed() -> None:
    cluster = FakeCluster(document=spec(dryRun=True)).prepared()
    cluster.edit(spec(dryRun=True, ttlSecondsAfterFinished=60))
    cluster.reconcile()
    assert cluster.status.observed_generation == 2
    assert all(c.observed_generation == 2 for c in cluster.status.conditions)
