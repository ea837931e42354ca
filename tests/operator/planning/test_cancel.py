"""Cancelling a video: it ends at once, whatever it is doing, and only an explicit wish starts it again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, body, config, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.admission import Admission, Queue
from talkingvideo_operator.planning.decision import DeleteChildren
from talkingvideo_operator.planning.demand import demand_of
from talkingvideo_operator.planning.namespaces import Namespace

CANCELLED = {"Cancelled", "Stalled"}


def true_conditions(cluster: FakeCluster) -> set[str]:
    return {each.type.value for each in cluster.status.conditions if each.status == "True"}


def reasons(cluster: FakeCluster) -> list[Reason]:
    return [event.reason for event in cluster.decision.events]


def cancelled(cluster: FakeCluster, **changes: Any) -> FakeCluster:
    """Cancel a video, and let the operator see it."""
    cluster.edit({**cluster.document, "cancel": True, **changes})
    cluster.reconcile()
    return cluster


def preparing(**settings: Any) -> FakeCluster:
    cluster = FakeCluster(**settings)
    cluster.reconcile()
    return cluster


def queued() -> FakeCluster:
    cluster = FakeCluster()
    cluster.admission = Admission({Stage.PREPARE: Queue(limit=1, active={"other": 1})})
    cluster.reconcile()
    return cluster


def rendering(**settings: Any) -> FakeCluster:
    """Chunk 0 is finished, others are being rendered."""
    cluster = FakeCluster(**settings).prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    return cluster


def stitching() -> FakeCluster:
    cluster = FakeCluster().prepared()
    while cluster.phase != "Stitching":
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    return cluster


def suspended() -> FakeCluster:
    cluster = rendering()
    cluster.edit(spec(suspend=True))
    cluster.reconcile()
    return cluster


def backing_off() -> FakeCluster:
    cluster = rendering()
    cluster.fail(cluster.job(Stage.RENDER, 1))
    cluster.reconcile()
    return cluster


MOMENTS: dict[str, tuple[Callable[[], FakeCluster], int]] = {
    "before it was ever seen": (FakeCluster, 0),
    "while it waits in the queue": (queued, 0),
    "during prepare": (preparing, 0),
    "when prepare has just ended": (lambda: FakeCluster().prepare_ended(), 0),
    "while chunks are rendered": (rendering, 1),
    "while a chunk backs off": (backing_off, 1),
    "while chained chunks are rendered": (lambda: rendering(chained=True), 1),
    "while it is suspended": (suspended, 1),
    "while its Jobs wait for Kueue": (lambda: rendering(document=spec(queueName="gpus")), 1),
    "while chunks are joined": (stitching, 5),
}
"""A video at some moment of its life, and how many of its chunks are finished then."""


@pytest.mark.parametrize(("begun", "finished"), MOMENTS.values(), ids=MOMENTS)
def test_a_video_that_is_cancelled_ends_at_once_and_starts_nothing(
    begun: Callable[[], FakeCluster], finished: int
) -> None:
    cluster = cancelled(begun())
    assert cluster.phase == "Cancelled"
    assert not cluster.decision.creates
    assert cluster.active() == []
    assert true_conditions(cluster) == CANCELLED
    assert {each.reason for each in cluster.status.conditions} == {Reason.CANCELLED}
    assert reasons(cluster)[-1] is Reason.CANCELLED
    assert cluster.status.completion_time == cluster.now
    assert cluster.status.failure is None
    assert cluster.status.queue_position is None
    assert cluster.status.estimated_completion_time is None
    assert (cluster.status.chunks.done if cluster.status.chunks else 0) == finished
    for _ in range(3):
        cluster.wait(3_600)
        assert not cluster.reconcile().creates
        assert not cluster.decision.events
    assert cluster.phase == "Cancelled"


def test_the_progress_that_was_reached_is_still_shown() -> None:
    cluster = rendering()
    reached = cluster.status.progress
    assert cancelled(cluster).status.progress == reached > 0
    assert cluster.status.chunks.summary == "1/5"


def test_cancel_is_no_new_revision() -> None:
    cluster = rendering()
    revision = cluster.video.revision
    assert cancelled(cluster).video.revision == revision == cluster.status.revision


def test_cancel_wins_over_suspend() -> None:
    cluster = cancelled(suspended())
    assert cluster.document["suspend"]
    assert cluster.phase == "Cancelled"
    assert cancelled(FakeCluster(), suspend=True).phase == "Cancelled"


def test_ending_suspension_by_cancelling_is_not_called_resuming() -> None:
    assert Reason.RESUMED not in reasons(cancelled(suspended(), suspend=False))


# --- what has ended, or cannot be made ------------------------------------------------------------------------------------


def test_a_result_that_a_finished_job_has_published_is_the_truth() -> None:
    cluster = stitching()
    cluster.succeed_pod(cluster.job(Stage.STITCH))
    assert cancelled(cluster).phase == "Succeeded"
    assert cluster.status.output.uri


def succeeded() -> FakeCluster:
    cluster = stitching()
    cluster.finish(cluster.job(Stage.STITCH))
    cluster.reconcile()
    return cluster


def failed() -> FakeCluster:
    cluster = rendering()
    cluster.fail(cluster.job(Stage.RENDER, 1), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    return cluster


@pytest.mark.parametrize("ended", [succeeded, failed])
def test_a_video_that_has_ended_is_not_changed(ended: Callable[[], FakeCluster]) -> None:
    cluster = ended()
    before = cluster.status
    after = cancelled(cluster).status
    assert not cluster.decision.events
    assert (after.phase, after.output, after.failure) == (before.phase, before.output, before.failure)
    assert after.completion_time == before.completion_time
    assert after.observed_generation == before.observed_generation + 1


def test_a_failed_video_is_not_retried_while_cancel_is_true() -> None:
    cluster = failed()
    cluster.edit(spec(cancel=True))
    cluster.retry("once")
    assert not cluster.reconcile().creates
    assert cluster.phase == "Failed"
    cluster.edit(spec(cancel=False))
    cluster.retry("once")
    assert cluster.reconcile().creates
    assert cluster.phase == "Rendering"


def test_a_failure_that_is_seen_together_with_the_cancellation_is_moot() -> None:
    cluster = rendering()
    cluster.fail(cluster.job(Stage.RENDER, 1), ErrorCode.STORE_ACCESS)
    assert cancelled(cluster).phase == "Cancelled"
    assert cluster.status.failure is None


def test_a_deadline_that_has_passed_is_moot() -> None:
    cluster = preparing(document=spec(activeDeadlineSeconds=60))
    cluster.wait(60)
    assert cancelled(cluster).phase == "Cancelled"


@pytest.mark.parametrize(
    "document",
    [
        spec(profile="nonesuch"),
        spec(output={"name": "elsewhere/{name}"}),
        spec(notify={"url": "https://example.com"}),
    ],
    ids=["missing profile", "not allowed", "not supported"],
)
def test_what_could_not_be_made_anyway_is_cancelled_all_the_same(document: dict[str, Any]) -> None:
    cluster = cancelled(FakeCluster(document=document))
    assert cluster.phase == "Cancelled"
    assert cluster.status.failure is None


def test_an_invalid_spec_fails_whatever_cancel_says() -> None:
    """Nothing runs either way. Without a spec that can be read there is no field to obey."""
    cluster = rendering()
    invalid = {**spec(cancel=True), "speech": {"speakers": []}}
    cluster.video = replace(Video.of(body(invalid, generation=2)), status=cluster.status)
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.condition("Failed").reason is Reason.INVALID_SPEC
    assert cluster.active() == []
    cluster.edit(spec(cancel=True))
    cluster.reconcile()
    assert cluster.phase == "Cancelled"


# --- starting again -------------------------------------------------------------------------------------------------------


def test_cancel_alone_set_back_to_false_starts_nothing() -> None:
    """A GitOps tool that reverts the change must not spend GPUs."""
    cluster = cancelled(rendering())
    cluster.edit(spec(cancel=False))
    assert not cluster.reconcile().creates
    assert cluster.phase == "Cancelled"
    assert cluster.status.observed_generation == cluster.video.generation


def test_the_retry_annotation_alone_starts_nothing() -> None:
    cluster = cancelled(rendering())
    cluster.retry("once")
    assert not cluster.reconcile().creates
    assert cluster.phase == "Cancelled"


@pytest.mark.parametrize("first", ["the field", "the annotation"])
def test_both_together_start_it_again_in_either_order_and_keep_finished_chunks(first: str) -> None:
    cluster = cancelled(rendering())
    cluster.wait(60)
    if first == "the field":
        cluster.edit(spec())
        cluster.reconcile()
        cluster.retry("once")
    else:
        cluster.retry("once")
        cluster.reconcile()
        cluster.edit(spec(), **{"talkingvideo.dev/retry": "once"})
    decision = cluster.reconcile()
    assert {chunk for _, chunk, _ in created_jobs(decision)} == {1, 2, 3}
    assert reasons(cluster) == [Reason.RETRY_REQUESTED, Reason.RENDERING]
    assert cluster.phase == "Rendering"
    assert cluster.status.start_time == cluster.now
    assert cluster.status.completion_time is None
    assert true_conditions(cluster) == {"Reconciling"}


def test_an_annotation_that_was_there_when_the_video_was_cancelled_is_not_new() -> None:
    cluster = rendering()
    cluster.retry("long ago")
    cluster.edit(spec(cancel=True), **{"talkingvideo.dev/retry": "long ago"})
    cluster.reconcile()
    cluster.edit(spec(), **{"talkingvideo.dev/retry": "long ago"})
    assert not cluster.reconcile().creates
    assert cluster.phase == "Cancelled"


def test_one_that_was_cancelled_during_prepare_is_checked_and_prepared_from_the_start() -> None:
    cluster = cancelled(preparing())
    cluster.settings = config(profile={"workerImage": "worker:2"})
    cluster.edit(spec())
    cluster.retry("once")
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]
    assert cluster.status.effective.worker_image == "worker:2"


def test_one_that_had_used_its_attempts_has_all_of_them_again() -> None:
    cluster = cancelled(backing_off())
    cluster.edit(spec())
    cluster.retry("once")
    assert (Stage.RENDER, 1, 1) in created_jobs(cluster.reconcile())


def test_an_edit_of_what_is_made_starts_the_new_revision() -> None:
    cluster = cancelled(rendering())
    cluster.edit(spec(prompt="another"))
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]
    assert Reason.REVISED in reasons(cluster)


def test_an_edit_while_cancel_is_true_cancels_the_new_revision_too() -> None:
    cluster = cancelled(cancelled(rendering()), prompt="another")
    assert cluster.phase == "Cancelled"
    assert cluster.status.revision == cluster.video.revision
    assert cluster.status.chunks is None
    assert not cluster.decision.creates
    cluster.edit(spec(prompt="another"))
    assert not cluster.reconcile().creates


def test_a_video_that_starts_again_may_be_cancelled_again() -> None:
    cluster = cancelled(rendering())
    cluster.edit(spec())
    cluster.retry("once")
    cluster.reconcile()
    assert cancelled(cluster).phase == "Cancelled"
    assert cluster.active() == []


# --- what is left ---------------------------------------------------------------------------------------------------------


def test_children_are_deleted_when_their_time_is_over() -> None:
    cluster = cancelled(rendering(document=spec(ttlSecondsAfterFinished=60)))
    assert cluster.jobs, "finished Jobs stay, and with them their logs"
    cluster.wait(60)
    assert cluster.reconcile().deletes == (DeleteChildren(keep_revision=None),)
    assert cluster.jobs == {}


def test_where_no_job_has_finished_the_stage_input_is_deleted_at_once() -> None:
    """Later nothing would remind the operator of it."""
    assert DeleteChildren(keep_revision=None) in cancelled(preparing()).decision.deletes
    assert DeleteChildren(keep_revision=None) not in cancelled(rendering()).decision.deletes


@pytest.mark.parametrize("effects", range(5))
def test_a_cancellation_that_is_interrupted_anywhere_is_completed(effects: int) -> None:
    cluster = rendering()
    cluster.edit(spec(cancel=True))
    cluster.reconcile(crash_after=effects)
    cluster.reconcile()
    assert cluster.phase == "Cancelled"
    assert cluster.active() == []
    assert cluster.status.chunks.done == 1


def test_a_job_that_appears_after_the_end_is_deleted() -> None:
    cluster = rendering()
    late = cluster.job(Stage.RENDER, 1)
    cancelled(cluster)
    cluster.jobs[late.name] = late
    cluster.reconcile()
    assert cluster.active() == []


@pytest.mark.parametrize(("cancel", "requests"), [(False, True), (True, False)])
def test_it_requests_no_slot_even_before_its_status_says_so(cancel: bool, requests: bool) -> None:
    cluster = queued()
    cluster.edit(spec(cancel=cancel))
    demand = demand_of(cluster.video, (), cluster.settings, Namespace(), cluster.now)
    assert (demand.entry is not None) is requests
