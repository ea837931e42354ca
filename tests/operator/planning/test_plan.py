"""The life of a video, step by step."""

from datetime import timedelta
from typing import Any

import pytest
from tests.operator.fake_cluster import START, FakeCluster, config, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.inputs import InputKind, inputs_of
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, PrepareReport, RenderReport, decode_bitmap, encode_report
from talkingvideo_clients.kube.objects import Container
from talkingvideo_operator.builders.stage_input import build_stage_input
from talkingvideo_operator.planning.admission import Admission, QueueEntry
from talkingvideo_operator.planning.decision import CreateJob, DeleteChildren, EnsureStageInput


def starts(decision: Any) -> Any:
    return [(c.stage, c.chunk, c.attempt) for c in decision.creates if isinstance(c, CreateJob)]


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


def test_chunks_start_in_the_same_turn_that_reads_the_plan_and_only_three_at_once() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    cluster.succeed_pod(cluster.job(Stage.PREPARE))
    decision = cluster.reconcile()
    assert starts(decision) == [(Stage.RENDER, i, 0) for i in (0, 1, 2)]
    assert cluster.status.chunks.summary == "0/5"


def test_max_parallel_is_obeyed_and_changing_it_is_no_new_revision() -> None:
    cluster = FakeCluster(document=spec(chunking={"maxParallel": 2})).prepared()
    assert len(cluster.active()) == 2
    revision = cluster.video.revision
    cluster.edit(spec(chunking={"maxParallel": 4}))
    assert cluster.video.revision == revision
    assert len(starts(cluster.reconcile())) == 2


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
    assert starts(cluster.reconcile()) == []
    cluster.wait(10)
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_a_chained_video_renders_the_missing_chunks_between_finished_ones() -> None:
    cluster = FakeCluster(chunks=5, chained=True, missing=(1, 3)).prepared()
    assert [job.chunk for job in cluster.active()] == [1]
    cluster.finish(cluster.job(Stage.RENDER, 1))
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 3, 0)]


def test_how_chunks_were_made_stands_in_status() -> None:
    cluster = FakeCluster(chunks=4, document=spec(chunking={"maxParallel": 4})).prepared()
    reports = [("resident", ()), ("offload", ("Memory was short.", "It was slow.")), ("offload", ("It was slow.",))]
    for chunk, (mode, warnings) in enumerate(reports):
        succeed_with(cluster, chunk, memory_mode=mode, warnings=warnings)
    writes = cluster.status_writes
    cluster.reconcile()
    assert cluster.status_writes == writes + 1
    assert cluster.status.chunks.memory_modes == ("resident", "offload")
    assert cluster.status.warnings == ("Memory was short.", "It was slow.")


def test_how_chunks_of_earlier_videos_were_made_stands_in_status() -> None:
    cluster = FakeCluster(chunks=3, missing=(2,))
    cluster.reconcile()
    job = cluster.job(Stage.PREPARE)
    usual = cluster.report(job)
    assert isinstance(usual, PrepareReport)
    prepared = usual.model_copy(update={"memory_modes": ("FP8", "resident")})
    cluster.succeed_pod(job, message=encode_report(prepared))
    cluster.complete_job(job)
    cluster.reconcile()
    assert cluster.status.chunks.memory_modes == ("FP8", "resident")
    succeed_with(cluster, 2, memory_mode="offload")
    cluster.reconcile()
    assert cluster.status.chunks.memory_modes == ("FP8", "resident", "offload")


@pytest.mark.parametrize("letter", ["w", "話", "🙂"])
def test_five_hundred_chunks_with_much_to_say_fit_into_status(letter: Any) -> None:
    cluster = FakeCluster(chunks=500, document=spec(chunking={"maxParallel": 256}, prompt="🙂" * 4_000)).prepared()
    while any(job.stage is Stage.RENDER for job in cluster.active()):
        for job in cluster.active():
            sentences = [f"{job.chunk} {number} {letter * 400}" for number in range(3)]
            succeed_with(cluster, job.chunk, memory_mode=letter * 100 + str(job.chunk), warnings=sentences)
        cluster.reconcile()
        assert len(cluster.status.to_json().encode()) < 64 * 1024
    assert len(cluster.status.warnings) < 40
    assert "more warnings" in cluster.status.warnings[-1]
    assert all(len(warning.encode()) <= 320 for warning in cluster.status.warnings)


def succeed_with(cluster: FakeCluster, chunk: Any, **facts: Any) -> None:
    report = RenderReport(chunk=chunk, key="k", frames=100, **facts)
    job = cluster.job(Stage.RENDER, chunk)
    cluster.succeed_pod(job, message=encode_report(report))
    cluster.complete_job(job)


def test_only_chunks_missing_in_the_store_are_rendered() -> None:
    cluster = FakeCluster(missing=(1, 3)).prepared()
    assert {job.chunk for job in cluster.active()} == {1, 3}
    assert cluster.status.chunks.reused == 3


def test_a_pods_report_counts_before_its_job_says_complete() -> None:
    cluster = FakeCluster().prepared()
    cluster.succeed_pod(cluster.job(Stage.RENDER, 0))
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 3, 0)]
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


def test_a_complete_prepare_job_without_a_report_is_waited_for_and_then_run_again() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    job = cluster.job(Stage.PREPARE)
    cluster.pods.clear()
    cluster.complete_job(job)
    decision = cluster.reconcile()
    assert not decision.creates
    assert decision.requeue_at == START + timedelta(seconds=cluster.settings.missing_report_seconds)
    cluster.wait(11)
    assert starts(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]


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


def test_a_failed_chunk_is_tried_again_after_its_back_off_and_others_go_on() -> None:
    cluster = FakeCluster().prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0))
    decision = cluster.reconcile()
    assert starts(decision) == [(Stage.RENDER, 3, 0)]
    assert decision.requeue_at == START + timedelta(seconds=10)
    assert any(e.reason is Reason.RETRYING and "chunk 0" in e.message for e in decision.events)
    cluster.finish(cluster.job(Stage.RENDER, 1))
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 4, 0)]
    cluster.wait(10)
    cluster.finish(cluster.job(Stage.RENDER, 2))
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


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
    assert starts(decision) == [(Stage.RENDER, 0, 1)]
    assert lost.name not in cluster.jobs
    assert (cluster.status.chunks.failed[0].failures, cluster.status.chunks.failed[0].interruptions) == (0, 1)


def test_lost_nodes_are_capped() -> None:
    cluster = FakeCluster(chunks=1, settings=config(maxInterruptions=3)).prepared()
    for _ in range(3):
        cluster.lose_node(cluster.job(Stage.RENDER, 0))
        cluster.wait(61)
        cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is ErrorCode.NODE_LOST


def test_a_job_that_somebody_deleted_is_made_again() -> None:
    cluster = FakeCluster().prepared()
    cluster.delete_job(cluster.job(Stage.RENDER, 1).name)
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 1, 0)]


def test_a_job_that_is_still_being_deleted_is_followed_by_the_next_attempt() -> None:
    cluster = FakeCluster().prepared()
    cluster.set_job(cluster.job(Stage.RENDER, 1), deleting=True)
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 1, 1)]
    assert cluster.status.chunks.failed[0].failures == 0


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
    assert {chunk for _, chunk, _ in starts(decision)} == {1, 2, 3}
    assert any(e.reason is Reason.RESUMED for e in decision.events)


def test_a_video_made_suspended_starts_nothing() -> None:
    cluster = FakeCluster(document=spec(suspend=True))
    assert not cluster.reconcile().creates
    assert cluster.phase == "Suspended"


def test_an_edit_starts_a_new_revision_and_deletes_the_old_ones_children() -> None:
    cluster = FakeCluster().prepared()
    old = cluster.video.revision
    cluster.edit(spec(prompt="another"))
    decision = cluster.reconcile()
    assert DeleteChildren(keep_revision=cluster.video.revision) in decision.deletes
    assert starts(decision) == [(Stage.PREPARE, None, 0)]
    assert cluster.status.revision != old
    assert cluster.status.chunks is None
    assert any(e.reason is Reason.REVISED for e in decision.events)


def test_an_edit_of_a_finished_video_makes_it_again() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    while cluster.active():
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    cluster.edit(spec(prompt="another"))
    assert starts(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]
    assert cluster.condition("Complete").status == "False"
    assert cluster.status.output is None


def test_the_retry_annotation_keeps_finished_chunks_and_never_reuses_a_number() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 1))
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    assert cluster.phase == "Failed"
    cluster.wait(3600)
    cluster.retry("once")
    decision = cluster.reconcile()
    assert (Stage.RENDER, 0, 1) in starts(decision)
    assert EnsureStageInput() in decision.creates
    assert 1 not in {chunk for _, chunk, _ in starts(decision)}
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


def test_after_the_store_lost_a_chunk_a_retry_looks_again_and_renders_what_is_missing() -> None:
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


def test_after_the_store_lost_the_plan_a_retry_plans_again() -> None:
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


def test_what_the_store_lost_is_prepared_again_without_anybody_asking() -> None:
    cluster = FakeCluster().prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    cluster.miss(cluster.job(Stage.RENDER, 1))
    decision = cluster.reconcile()
    assert cluster.phase == "Preparing"
    assert Reason.RETRYING in {event.reason for event in decision.events}
    assert not cluster.active(), "no pod goes on with a plan that is of no use"
    assert not decision.creates
    assert decision.requeue_at == cluster.now + timedelta(seconds=10)
    cluster.missing = (1, 2)
    cluster.wait(10)
    assert starts(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]
    cluster.finish(cluster.job(Stage.PREPARE))
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 1, 1), (Stage.RENDER, 2, 0)]
    assert cluster.status.chunks.summary == "3/5"


def test_after_the_join_found_a_chunk_lost_it_has_all_its_attempts_again() -> None:
    cluster = FakeCluster(settings=config(profile={"stitch": {"attempts": 2}})).prepared()
    while cluster.phase == "Rendering":
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    cluster.miss(cluster.job(Stage.STITCH))
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


def test_a_store_that_goes_on_losing_fails_the_video_after_prepares_attempts() -> None:
    cluster = FakeCluster(settings=config(profile={"prepare": {"attempts": 3}})).prepared()
    for _ in range(2):
        cluster.miss(cluster.job(Stage.RENDER, 0))
        cluster.reconcile()
        cluster.wait(300)
        cluster.reconcile()
        cluster.finish(cluster.job(Stage.PREPARE))
        cluster.reconcile()
    cluster.miss(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.code is ErrorCode.WORKSPACE
    assert cluster.job(Stage.PREPARE).attempt == 2
    cluster.retry("once")
    assert starts(cluster.reconcile()) == [(Stage.PREPARE, None, 3)]


def test_a_store_that_cannot_be_reached_is_tried_again_and_nothing_is_prepared_anew() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.WORKSPACE)
    cluster.reconcile()
    assert cluster.phase == "Rendering"
    cluster.wait(10)
    assert starts(cluster.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_preparing_again_survives_lost_writes_of_status() -> None:
    """With no back-off prepare starts in the turn that finds the loss, and all that follows before status is written."""
    cluster = FakeCluster(settings=config(backOff={"firstSeconds": 0})).prepared()
    cluster.wait(30)
    cluster.miss(cluster.job(Stage.RENDER, 0))
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
    cluster.miss(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    assert cluster.phase == "Preparing", "the second loss is one, too, though status has heard of none"
    assert [(job.stage, job.attempt) for job in cluster.active()] == [(Stage.PREPARE, 2)]


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


def test_children_are_deleted_after_their_time_and_the_result_is_not() -> None:
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


@pytest.mark.parametrize(
    ("document", "reason", "code"),
    [
        (spec(engine="other"), Reason.NOT_SUPPORTED, ErrorCode.NOT_SUPPORTED),
        (spec(notify={"url": "https://example.com"}), Reason.NOT_SUPPORTED, ErrorCode.NOT_SUPPORTED),
        (spec(profile="gold"), Reason.PROFILE_MISSING, ErrorCode.INPUT_VALIDATION),
        (spec(priority="urgent"), Reason.NOT_ALLOWED, ErrorCode.INPUT_VALIDATION),
    ],
)
def test_what_cannot_be_done_fails_at_once_with_its_reason(document: Any, reason: Any, code: Any) -> None:
    cluster = FakeCluster(document=document)
    decision = cluster.reconcile()
    assert not decision.creates
    assert cluster.phase == "Failed"
    assert cluster.condition("Stalled").status == "True"
    assert cluster.condition("Failed").reason is reason
    assert cluster.status.failure.code is code
    assert cluster.status.failure.field is not None


def test_a_spec_that_the_models_refuse_fails_with_its_field() -> None:
    cluster = FakeCluster()
    cluster.edit(spec(source={}))
    cluster.reconcile()
    assert cluster.condition("Failed").reason is Reason.INVALID_SPEC
    assert cluster.status.failure.field == "spec.source"
    writes = cluster.status_writes
    cluster.wait(100)
    cluster.reconcile()
    assert cluster.status_writes == writes


def test_a_profile_that_was_added_later_is_found_by_a_retry() -> None:
    cluster = FakeCluster(document=spec(profile="gold"))
    cluster.reconcile()
    gold = cluster.settings.profiles["default"]
    cluster.settings = cluster.settings.model_copy(update={"profiles": {"gold": gold}})
    cluster.retry("now")
    assert starts(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]


def test_a_profile_without_the_store_of_a_running_video_fails_it_plainly() -> None:
    cluster = FakeCluster().prepared()
    profile = cluster.settings.profiles["default"]
    other = profile.model_copy(update={"stores": {"b": profile.stores["default"]}, "default_store": "b"})
    cluster.settings = cluster.settings.model_copy(update={"profiles": {"default": other}})
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert "store" in cluster.status.failure.message


def test_fields_without_effect_are_told_as_warnings() -> None:
    cluster = FakeCluster(document=spec(render={"steps": 8}))
    cluster.reconcile()
    assert cluster.status.warnings == ("spec.render.steps has no effect with the preview engine",)


def test_a_video_that_waits_for_the_cluster_says_its_place() -> None:
    cluster = FakeCluster()
    first = QueueEntry("other", "ns", 0, START - timedelta(hours=1), wanted=5)
    cluster.admission = Admission(limit=2, active={"ns": 2}, entries={"other": first})
    cluster.prepared()
    assert cluster.active() == []
    assert cluster.status.queue_position == 2
    assert cluster.condition("Ready").reason is Reason.QUEUED


def test_jobs_of_a_kueue_queue_are_not_held_back() -> None:
    cluster = FakeCluster(document=spec(queueName="gpu"))
    cluster.admission = Admission(limit=1, active={"ns": 1})
    cluster.prepared()
    assert len(cluster.active()) == 3


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"unschedulable": "0/3 nodes are available"}, Reason.UNSCHEDULABLE),
        ({"container": ("ImagePullBackOff", "no such image")}, Reason.IMAGE_PULL_FAILED),
        ({"container": ("CreateContainerConfigError", 'secret "s3" not found')}, Reason.STORE_SECRET_MISSING),
    ],
)
def test_what_holds_a_pod_up_is_told_after_a_while(pod: Any, reason: Any) -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    changes = dict(pod)
    if waiting := changes.pop("container", None):
        changes["containers"] = (Container("fetch", init=True, waiting_reason=waiting[0], waiting_message=waiting[1]),)
    cluster.set_pod(cluster.pod_of(cluster.job(Stage.PREPARE)), **changes)
    assert cluster.condition("Ready").reason is Reason.PREPARING
    assert cluster.reconcile().requeue_at == START + timedelta(seconds=15)
    cluster.wait(15)
    cluster.reconcile()
    assert cluster.condition("Ready").reason is reason
    assert cluster.condition("Reconciling").status == "True"


@pytest.mark.parametrize("letter", ["p", "ü", "話", "🙂"])
def test_status_stays_below_64_kib_with_500_chunks_of_which_256_run_and_all_have_failed(letter: Any) -> None:
    prompts = {"prompt": letter * 4_000, "negativePrompt": letter * 4_000}
    cluster = FakeCluster(chunks=500, document=spec(chunking={"maxParallel": 256}, **prompts)).prepared()
    while len(cluster.status.chunks.failed) < 500:
        for job in [j for j in cluster.active() if j.attempt == 0]:
            cluster.fail(job)
        cluster.reconcile()
    assert len(cluster.status.to_json().encode()) < 64 * 1024
    cluster.wait(20)
    cluster.reconcile()
    cluster.reconcile()
    assert len(cluster.active()) == 256
    assert len(cluster.status.chunks.active) == 64
    assert len(cluster.status.to_json().encode()) < 64 * 1024
    cluster.fail(cluster.active()[0], ErrorCode.STORE_ACCESS, message=refusal(letter * 1_000))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert len(cluster.status.to_json().encode()) < 64 * 1024


def test_status_shows_a_loras_address_without_its_signature_and_stages_get_it_whole() -> None:
    loras = [{"uri": f"https://example.com/{number}?sig={'x' * 1_900}", "scale": 0.5} for number in range(7)]
    loras.insert(3, {"name": "mine"})
    document = spec(engine="infinitetalk", render={"preset": "fast", "loras": loras})
    cluster = FakeCluster(settings=config(profile={"preset": "turbo"}), document=document).prepared()
    assert "sig=" not in cluster.status.to_json()
    assert len(cluster.status.to_json().encode()) < 8_000
    profile = cluster.settings.profiles["default"]
    stage_input = build_stage_input(cluster.video, cluster.video.spec, cluster.status.effective, profile)
    assert stage_input.effective.sampling is not None
    fusion, *given = stage_input.effective.sampling.loras
    assert fusion.name == "Wan2.1_I2V_14B_FusionX_LoRA"
    assert [(it.index, it.name, it.scale) for it in given] == [
        (index, it.get("name"), it.get("scale", 1.0)) for index, it in enumerate(loras)
    ]
    assert [it["uri"] for it in loras if "uri" in it] == [
        each.reference.uri for each in inputs_of(stage_input.spec) if each.kind is InputKind.LORA
    ]


def refusal(sentence: str) -> str:
    report = FailureReport(code=ErrorCode.STORE_ACCESS, message=sentence, retryable=False)
    return encode_report(report)


def test_whatever_starts_finds_its_stage_input() -> None:
    cluster = FakeCluster(chunks=4)
    cluster.reconcile()
    while cluster.phase != "Succeeded":
        cluster.finish(cluster.active()[0])
        creates = cluster.reconcile().creates
        assert (creates[:1] == (EnsureStageInput(),)) == bool(starts(cluster.decision))
        assert not cluster.reconcile().creates


def test_a_retry_that_has_to_wait_for_a_place_finds_its_order_all_the_same() -> None:
    cluster = FakeCluster().prepared()
    cluster.fail(cluster.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    cluster.reconcile()
    cluster.wait(8 * 24 * 3_600)
    assert DeleteChildren(keep_revision=None) in cluster.reconcile().deletes
    cluster.admission = Admission(limit=1, active={"ns": 1})
    cluster.retry("once")
    assert starts(cluster.reconcile()) == []
    cluster.admission = Admission()
    assert cluster.reconcile().creates[0] == EnsureStageInput()


def test_a_video_resumed_after_its_order_was_deleted_finds_one() -> None:
    cluster = FakeCluster().prepared()
    cluster.edit(spec(suspend=True))
    cluster.reconcile()
    cluster.edit(spec())
    assert cluster.reconcile().creates[0] == EnsureStageInput()


def test_an_order_that_pods_seem_to_miss_is_placed_again() -> None:
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


def test_a_video_that_got_some_places_looks_again_for_more() -> None:
    cluster = FakeCluster()
    cluster.admission = Admission(limit=1)
    cluster.prepared()
    assert len(cluster.active()) == 1
    for job in cluster.active():
        cluster.run_pod(job)
    cluster.wait(60)
    cluster.admission = Admission(limit=1, active={"ns": 1})
    assert cluster.reconcile().requeue_at == cluster.now + timedelta(seconds=30)


def test_prompts_are_whole_in_the_stage_input_and_take_no_room_in_status() -> None:
    cluster = FakeCluster(document=spec(prompt="話" * 4_000, negativePrompt="ü" * 4_000))
    cluster.reconcile()
    effective = cluster.status.effective
    assert len(cluster.status.to_json().encode()) < 4_000
    profile = cluster.settings.profiles["default"]
    stage_input = build_stage_input(cluster.video, cluster.video.spec, effective, profile)
    assert (stage_input.values.prompt, stage_input.values.negative_prompt) == ("話" * 4_000, "ü" * 4_000)
