"""The stage input exists whenever a pod needs it."""

from tests.operator.fake_cluster import FakeCluster, created_jobs, spec

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Container
from talkingvideo_operator.planning.admission import Admission, Queue
from talkingvideo_operator.planning.decision import DeleteChildren, EnsureStageInput


def test_every_job_finds_its_stage_input() -> None:
    cluster = FakeCluster(chunks=4)
    cluster.reconcile()
    while cluster.phase != "Succeeded":
        cluster.finish(cluster.active()[0])
        creates = cluster.reconcile().creates
        assert (creates[:1] == (EnsureStageInput(),)) == bool(created_jobs(cluster.decision))
        assert not cluster.reconcile().creates


def test_a_retry_that_first_waits_for_a_render_slot_finds_its_stage_input() -> None:
    cluster = FakeCluster().prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    cluster.wait(8 * 24 * 3_600)
    assert DeleteChildren(keep_revision=None) in cluster.reconcile().deletes
    cluster.admission = Admission({Stage.RENDER: Queue(limit=1, active={"ns": 1})})
    cluster.retry("once")
    assert created_jobs(cluster.reconcile()) == []
    cluster.admission = Admission()
    assert cluster.reconcile().creates[0] == EnsureStageInput()


def test_a_resumed_video_finds_its_stage_input_although_it_was_deleted() -> None:
    cluster = FakeCluster().prepared()
    cluster.edit(spec(suspend=True))
    cluster.reconcile()
    cluster.edit(spec())
    assert cluster.reconcile().creates[0] == EnsureStageInput()


def test_a_stage_input_that_pods_seem_to_lack_is_ensured() -> None:
    cluster = FakeCluster().prepared()
    for job in cluster.active():
        waiting = Container("render", init=False, waiting_reason="ContainerCreating")
        cluster.set_pod(cluster.pod_of(job), containers=(waiting,))
    assert not cluster.reconcile().creates
    cluster.wait(15)
    assert cluster.reconcile().creates == (EnsureStageInput(),)
    for job in cluster.active():
        cluster.run_pod(job)
    assert not cluster.reconcile().creates
