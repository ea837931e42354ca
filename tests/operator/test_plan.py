"""The life of a video, step by step."""

from datetime import timedelta
from typing import Any

import pytest
from tests.operator.fake_cluster import START, World, config, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.inputs import InputKind, inputs_of
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport, PrepareReport, RenderReport, decode_bitmap, encode_report
from talkingvideo_clients.kube.objects import Container
from talkingvideo_operator.builders.stage_input import build_stage_input
from talkingvideo_operator.planning.admission import Admission, QueueEntry
from talkingvideo_operator.planning.decision import DeleteRevisions, EnsureStageInput, Start


def starts(decision: Any) -> Any:
    return [(c.stage, c.chunk, c.attempt) for c in decision.creates if isinstance(c, Start)]


def test_the_first_decision_accepts_the_video_and_starts_prepare() -> None:
    world = World()
    decision = world.reconcile()
    assert decision.creates == (EnsureStageInput(), Start(Stage.PREPARE, 0))
    assert world.phase == "Preparing"
    assert world.status.observed_generation == 1
    assert world.condition("Reconciling").status == "True"
    assert world.condition("Ready").status == "False"
    assert world.status.effective.engine == "preview"


def test_nothing_is_written_or_created_when_nothing_has_changed() -> None:
    world = World()
    world.reconcile()
    decision = world.reconcile()
    assert not decision.creates
    assert world.status_writes == 1


def test_chunks_start_in_the_same_turn_that_reads_the_plan_and_only_three_at_once() -> None:
    world = World()
    world.reconcile()
    world.succeed_pod(world.job(Stage.PREPARE))
    decision = world.reconcile()
    assert starts(decision) == [(Stage.RENDER, i, 0) for i in (0, 1, 2)]
    assert world.status.chunks.summary == "0/5"


def test_max_parallel_is_obeyed_and_changing_it_is_no_new_revision() -> None:
    world = World(document=spec(chunking={"maxParallel": 2})).prepared()
    assert len(world.active()) == 2
    revision = world.video.revision
    world.edit(spec(chunking={"maxParallel": 4}))
    assert world.video.revision == revision
    assert len(starts(world.reconcile())) == 2


def test_chained_chunks_are_rendered_one_at_a_time_in_order_whatever_max_parallel_says() -> None:
    world = World(chunks=3, chained=True, document=spec(chunking={"maxParallel": 3})).prepared()
    assert world.status.chunks.chained is True
    stage_input = []
    while world.active() and world.active()[0].stage is Stage.RENDER:
        (job,) = world.active()
        stage_input.append(job.chunk)
        world.finish(job)
        world.reconcile()
    assert stage_input == [0, 1, 2]


def test_a_chained_chunk_waits_for_the_next_attempt_of_the_one_before() -> None:
    world = World(chunks=3, chained=True).prepared()
    world.fail(world.job(Stage.RENDER, 0))
    assert starts(world.reconcile()) == []
    world.wait(10)
    assert starts(world.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_a_chained_video_renders_the_missing_chunks_between_finished_ones() -> None:
    world = World(chunks=5, chained=True, missing=(1, 3)).prepared()
    assert [job.chunk for job in world.active()] == [1]
    world.finish(world.job(Stage.RENDER, 1))
    assert starts(world.reconcile()) == [(Stage.RENDER, 3, 0)]


def test_how_chunks_were_made_stands_in_status() -> None:
    world = World(chunks=4, document=spec(chunking={"maxParallel": 4})).prepared()
    reports = [("resident", ()), ("offload", ("Memory was short.", "It was slow.")), ("offload", ("It was slow.",))]
    for chunk, (mode, warnings) in enumerate(reports):
        succeed_with(world, chunk, memory_mode=mode, warnings=warnings)
    writes = world.status_writes
    world.reconcile()
    assert world.status_writes == writes + 1
    assert world.status.chunks.memory_modes == ("resident", "offload")
    assert world.status.warnings == ("Memory was short.", "It was slow.")


def test_how_chunks_of_earlier_videos_were_made_stands_in_status() -> None:
    world = World(chunks=3, missing=(2,))
    world.reconcile()
    job = world.job(Stage.PREPARE)
    usual = world.report(job)
    assert isinstance(usual, PrepareReport)
    prepared = usual.model_copy(update={"memory_modes": ("FP8", "resident")})
    world.succeed_pod(job, message=encode_report(prepared))
    world.complete_job(job)
    world.reconcile()
    assert world.status.chunks.memory_modes == ("FP8", "resident")
    succeed_with(world, 2, memory_mode="offload")
    world.reconcile()
    assert world.status.chunks.memory_modes == ("FP8", "resident", "offload")


@pytest.mark.parametrize("letter", ["w", "話", "🙂"])
def test_five_hundred_chunks_with_much_to_say_fit_into_status(letter: Any) -> None:
    world = World(chunks=500, document=spec(chunking={"maxParallel": 256}, prompt="🙂" * 4_000)).prepared()
    while any(job.stage is Stage.RENDER for job in world.active()):
        for job in world.active():
            sentences = [f"{job.chunk} {number} {letter * 400}" for number in range(3)]
            succeed_with(world, job.chunk, memory_mode=letter * 100 + str(job.chunk), warnings=sentences)
        world.reconcile()
        assert len(world.status.to_json().encode()) < 64 * 1024
    assert len(world.status.warnings) < 40
    assert "more warnings" in world.status.warnings[-1]
    assert all(len(warning.encode()) <= 320 for warning in world.status.warnings)


def succeed_with(world: World, chunk: Any, **facts: Any) -> None:
    report = RenderReport(chunk=chunk, key="k", frames=100, **facts)
    job = world.job(Stage.RENDER, chunk)
    world.succeed_pod(job, message=encode_report(report))
    world.complete_job(job)


def test_only_chunks_missing_in_the_store_are_rendered() -> None:
    world = World(missing=(1, 3)).prepared()
    assert {job.chunk for job in world.active()} == {1, 3}
    assert world.status.chunks.reused == 3


def test_a_pods_report_counts_before_its_job_says_complete() -> None:
    world = World().prepared()
    world.succeed_pod(world.job(Stage.RENDER, 0))
    assert starts(world.reconcile()) == [(Stage.RENDER, 3, 0)]
    assert world.status.chunks.done == 1
    world.complete_job(world.job(Stage.RENDER, 0))
    assert not world.reconcile().creates


def test_a_complete_render_job_without_a_report_counts_as_done() -> None:
    world = World().prepared()
    job = world.job(Stage.RENDER, 0)
    world.pods = {uid: p for uid, p in world.pods.items() if p.job_uid != job.uid}
    world.complete_job(job)
    world.reconcile()
    assert decode_bitmap(world.status.chunks.finished, 5) == [0]


def test_a_complete_prepare_job_without_a_report_is_waited_for_and_then_run_again() -> None:
    world = World()
    world.reconcile()
    job = world.job(Stage.PREPARE)
    world.pods.clear()
    world.complete_job(job)
    decision = world.reconcile()
    assert not decision.creates
    assert decision.requeue_at == START + timedelta(seconds=world.settings.missing_report_seconds)
    world.wait(11)
    assert starts(world.reconcile()) == [(Stage.PREPARE, None, 1)]


def test_the_whole_life_ends_with_ready_and_complete_and_the_result_in_status() -> None:
    world = World().prepared()
    while world.active():
        for job in world.active():
            world.finish(job)
        world.reconcile()
    assert world.phase == "Succeeded"
    assert world.condition("Complete").status == world.condition("Ready").status == "True"
    assert world.condition("Reconciling").status == world.condition("Stalled").status == "False"
    assert world.status.output.frame_count == 500
    assert world.status.progress == 100
    assert world.status.chunks.active == ()
    assert world.status.usage.gpu_seconds == 150
    assert [name.rpartition("-")[0].rpartition("-")[2] for name in world.created] == [
        "prepare", "r0", "r1", "r2", "r3", "r4", "stitch",
    ]  # fmt: skip


def test_writes_of_a_whole_life_stay_below_2n_plus_12() -> None:
    world = World(chunks=20, document=spec(chunking={"maxParallel": 1})).prepared()
    while world.active():
        world.finish(world.active()[0])
        world.settle()
    stage_input = 1
    assert world.status_writes + len(world.created) + stage_input <= 2 * 20 + 12


def test_a_failed_chunk_is_tried_again_after_its_back_off_and_others_go_on() -> None:
    world = World().prepared()
    world.fail(world.job(Stage.RENDER, 0))
    decision = world.reconcile()
    assert starts(decision) == [(Stage.RENDER, 3, 0)]
    assert decision.requeue_at == START + timedelta(seconds=10)
    assert any(e.reason is Reason.RETRYING and "chunk 0" in e.message for e in decision.events)
    world.finish(world.job(Stage.RENDER, 1))
    assert starts(world.reconcile()) == [(Stage.RENDER, 4, 0)]
    world.wait(10)
    world.finish(world.job(Stage.RENDER, 2))
    assert starts(world.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_back_off_doubles() -> None:
    world = World(chunks=1).prepared()
    waits = []
    for _ in range(3):
        world.fail(world.job(Stage.RENDER, 0))
        world.reconcile()
        waits.append((world.status.chunks.failed[0].not_before - world.now).total_seconds())
        world.wait(waits[-1])
        world.reconcile()
    assert waits == [10, 20, 40]


def test_the_video_fails_after_the_profiles_attempts_and_ends_what_runs() -> None:
    world = World(chunks=2).prepared()
    for _ in range(4):
        world.fail(world.job(Stage.RENDER, 0))
        world.reconcile()
        world.wait(300)
        world.reconcile()
    assert world.phase == "Failed"
    assert world.status.failure.code is ErrorCode.FFMPEG
    assert (world.status.failure.stage, world.status.failure.chunk) == (Stage.RENDER, 0)
    assert world.condition("Stalled").status == world.condition("Failed").status == "True"
    assert world.active() == []
    assert not world.reconcile().creates


@pytest.mark.parametrize("code", [ErrorCode.INPUT_VALIDATION, ErrorCode.OUTPUT_EXISTS, ErrorCode.STORE_ACCESS])
def test_a_users_error_fails_at_once(code: Any) -> None:
    world = World()
    world.reconcile()
    world.fail(world.job(Stage.PREPARE), code)
    decision = world.reconcile()
    assert not decision.creates
    assert world.phase == "Failed"
    assert world.status.failure.code is code


def test_a_report_may_say_that_a_retryable_code_is_not_worth_a_retry() -> None:
    world = World()
    world.reconcile()
    job = world.job(Stage.PREPARE)
    message = '{"kind": "failure", "code": "E_DOWNLOAD_FAILED", "message": "404", "retryable": false}'
    world.fail(job, ErrorCode.DOWNLOAD_FAILED, message=message)
    world.reconcile()
    assert world.phase == "Failed"


def test_an_evicted_pod_is_replaced_by_the_job_controller_and_nothing_is_counted() -> None:
    world = World().prepared()
    world.evict(world.job(Stage.RENDER, 0))
    assert not world.reconcile().creates
    world.finish(world.job(Stage.RENDER, 0))
    world.reconcile()
    assert world.status.chunks.done == 1
    assert world.status.chunks.failed == ()


def test_a_pod_on_a_lost_node_is_given_up_after_the_grace_time_without_counting_a_failure() -> None:
    world = World(chunks=1).prepared()
    lost = world.job(Stage.RENDER, 0)
    world.lose_node(lost)
    decision = world.reconcile()
    assert not decision.creates
    assert decision.requeue_at == START + timedelta(seconds=15)
    world.wait(60)
    decision = world.reconcile()
    assert starts(decision) == [(Stage.RENDER, 0, 1)]
    assert lost.name not in world.jobs
    assert (world.status.chunks.failed[0].failures, world.status.chunks.failed[0].interruptions) == (0, 1)


def test_lost_nodes_are_capped() -> None:
    world = World(chunks=1, settings=config(maxInterruptions=3)).prepared()
    for _ in range(3):
        world.lose_node(world.job(Stage.RENDER, 0))
        world.wait(61)
        world.reconcile()
    assert world.phase == "Failed"
    assert world.status.failure.code is ErrorCode.NODE_LOST


def test_a_job_that_somebody_deleted_is_made_again() -> None:
    world = World().prepared()
    world.delete_job(world.job(Stage.RENDER, 1).name)
    assert starts(world.reconcile()) == [(Stage.RENDER, 1, 0)]


def test_a_job_that_is_still_being_deleted_is_followed_by_the_next_attempt() -> None:
    world = World().prepared()
    world.set_job(world.job(Stage.RENDER, 1), deleting=True)
    assert starts(world.reconcile()) == [(Stage.RENDER, 1, 1)]
    assert world.status.chunks.failed[0].failures == 0


def test_suspending_ends_unfinished_work_and_keeps_finished_chunks() -> None:
    world = World().prepared()
    world.finish(world.job(Stage.RENDER, 0))
    world.edit(spec(suspend=True))
    decision = world.reconcile()
    assert not decision.creates
    assert world.active() == []
    assert world.phase == "Suspended"
    assert world.condition("Suspended").status == "True"
    assert world.status.chunks.done == 1
    world.edit(spec())
    decision = world.reconcile()
    assert {chunk for _, chunk, _ in starts(decision)} == {1, 2, 3}
    assert any(e.reason is Reason.RESUMED for e in decision.events)


def test_a_video_made_suspended_starts_nothing() -> None:
    world = World(document=spec(suspend=True))
    assert not world.reconcile().creates
    assert world.phase == "Suspended"


def test_an_edit_starts_a_new_revision_and_deletes_the_old_ones_children() -> None:
    world = World().prepared()
    old = world.video.revision
    world.edit(spec(prompt="another"))
    decision = world.reconcile()
    assert DeleteRevisions(but=world.video.revision) in decision.deletes
    assert starts(decision) == [(Stage.PREPARE, None, 0)]
    assert world.status.revision != old
    assert world.status.chunks is None
    assert any(e.reason is Reason.REVISED for e in decision.events)


def test_an_edit_of_a_finished_video_makes_it_again() -> None:
    world = World(chunks=1).prepared()
    while world.active():
        world.finish(world.active()[0])
        world.reconcile()
    world.edit(spec(prompt="another"))
    assert starts(world.reconcile()) == [(Stage.PREPARE, None, 0)]
    assert world.condition("Complete").status == "False"
    assert world.status.output is None


def test_the_retry_annotation_keeps_finished_chunks_and_never_reuses_a_number() -> None:
    world = World().prepared()
    world.finish(world.job(Stage.RENDER, 1))
    world.fail(world.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    world.reconcile()
    assert world.phase == "Failed"
    world.wait(3600)
    world.retry("once")
    decision = world.reconcile()
    assert (Stage.RENDER, 0, 1) in starts(decision)
    assert EnsureStageInput() in decision.creates
    assert 1 not in {chunk for _, chunk, _ in starts(decision)}
    assert world.status.failure is None
    assert world.phase == "Rendering"
    world.fail(world.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    world.reconcile()
    assert world.phase == "Failed"
    assert not world.reconcile().creates


def test_a_retry_interrupted_before_its_status_write_starts_no_chunk_twice() -> None:
    world = World().prepared()
    world.fail(world.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    world.reconcile()
    world.retry("once")
    world.reconcile(crash_after=2)
    world.reconcile()
    chunks = [job.chunk for job in world.active()]
    assert len(chunks) == len(set(chunks))


def test_chunks_started_before_the_plan_was_written_into_status_are_not_started_again() -> None:
    world = World().prepare_ended()
    world.reconcile(crash_after=4)
    first = {job.name for job in world.active()}
    assert len(first) == 3
    assert world.status.plan_digest is None
    world.finish(world.job(Stage.RENDER, 0))
    world.settle()
    assert world.status.chunks.summary == "1/5"
    assert {job.attempt for job in world.jobs.values()} == {0}
    assert first <= set(world.jobs)


def test_after_the_store_lost_a_chunk_a_retry_looks_again_and_renders_what_is_missing() -> None:
    world = World().prepared()
    while world.phase == "Rendering":
        world.finish(world.active()[0])
        world.reconcile()
    while world.phase == "Stitching":
        if world.active():
            world.fail(world.job(Stage.STITCH), ErrorCode.WORKSPACE)
        world.wait(3600)
        world.reconcile()
    assert world.phase == "Failed"
    world.missing = (2,)
    world.retry("once")
    world.settle()
    assert [(job.stage, job.attempt) for job in world.active()] == [(Stage.PREPARE, 1)]
    world.finish(world.job(Stage.PREPARE))
    world.settle()
    assert [(job.stage, job.chunk, job.attempt) for job in world.active()] == [(Stage.RENDER, 2, 1)]
    assert world.status.chunks.summary == "4/5"
    world.finish(world.job(Stage.RENDER, 2))
    world.settle()
    world.finish(world.job(Stage.STITCH))
    world.settle()
    assert world.phase == "Succeeded"


def test_after_the_store_lost_the_plan_a_retry_plans_again() -> None:
    world = World().prepared()
    world.finish(world.job(Stage.RENDER, 0))
    while world.phase == "Rendering":
        for job in world.active():
            world.fail(job, ErrorCode.WORKSPACE)
        world.wait(3600)
        world.reconcile()
    assert world.status.failure.code is ErrorCode.WORKSPACE
    world.missing = (1, 2)
    world.retry("once")
    world.settle()
    assert [(job.stage, job.attempt) for job in world.active()] == [(Stage.PREPARE, 1)]
    world.finish(world.job(Stage.PREPARE))
    world.settle()
    assert {job.chunk for job in world.active()} == {1, 2}
    assert world.status.chunks.summary == "3/5"


def test_what_the_store_lost_is_prepared_again_without_anybody_asking() -> None:
    world = World().prepared()
    world.finish(world.job(Stage.RENDER, 0))
    world.reconcile()
    world.miss(world.job(Stage.RENDER, 1))
    decision = world.reconcile()
    assert world.phase == "Preparing"
    assert Reason.RETRYING in {event.reason for event in decision.events}
    assert not world.active(), "no pod goes on with a plan that is of no use"
    assert not decision.creates
    assert decision.requeue_at == world.now + timedelta(seconds=10)
    world.missing = (1, 2)
    world.wait(10)
    assert starts(world.reconcile()) == [(Stage.PREPARE, None, 1)]
    world.finish(world.job(Stage.PREPARE))
    assert starts(world.reconcile()) == [(Stage.RENDER, 1, 1), (Stage.RENDER, 2, 0)]
    assert world.status.chunks.summary == "3/5"


def test_after_the_join_found_a_chunk_lost_it_has_all_its_attempts_again() -> None:
    world = World(settings=config(profile={"stitch": {"attempts": 2}})).prepared()
    while world.phase == "Rendering":
        world.finish(world.active()[0])
        world.reconcile()
    world.miss(world.job(Stage.STITCH))
    world.settle()
    world.missing = (2,)
    world.wait(10)
    for stage, chunk in ((Stage.PREPARE, None), (Stage.RENDER, 2)):
        world.settle()
        world.finish(world.job(stage, chunk))
    world.settle()
    world.fail(world.job(Stage.STITCH))
    world.reconcile()
    assert world.phase == "Stitching"
    world.wait(10)
    world.settle()
    world.finish(world.job(Stage.STITCH))
    world.settle()
    assert world.phase == "Succeeded"


def test_a_store_that_goes_on_losing_fails_the_video_after_prepares_attempts() -> None:
    world = World(settings=config(profile={"prepare": {"attempts": 3}})).prepared()
    for _ in range(2):
        world.miss(world.job(Stage.RENDER, 0))
        world.reconcile()
        world.wait(300)
        world.reconcile()
        world.finish(world.job(Stage.PREPARE))
        world.reconcile()
    world.miss(world.job(Stage.RENDER, 0))
    world.reconcile()
    assert world.phase == "Failed"
    assert world.status.failure.code is ErrorCode.WORKSPACE
    assert world.job(Stage.PREPARE).attempt == 2
    world.retry("once")
    assert starts(world.reconcile()) == [(Stage.PREPARE, None, 3)]


def test_a_store_that_cannot_be_reached_is_tried_again_and_nothing_is_prepared_anew() -> None:
    world = World(chunks=1).prepared()
    world.fail(world.job(Stage.RENDER, 0), ErrorCode.WORKSPACE)
    world.reconcile()
    assert world.phase == "Rendering"
    world.wait(10)
    assert starts(world.reconcile()) == [(Stage.RENDER, 0, 1)]


def test_preparing_again_survives_lost_writes_of_status() -> None:
    """With no back-off prepare starts in the turn that finds the loss, and all that follows before status is written."""
    world = World(settings=config(backOff={"firstSeconds": 0})).prepared()
    world.wait(30)
    world.miss(world.job(Stage.RENDER, 0))
    before_status = -1
    world.reconcile(crash_after=before_status)
    again = world.job(Stage.PREPARE)
    assert again.attempt == 1
    world.reconcile(crash_after=before_status)
    world.finish(again)
    world.reconcile(crash_after=before_status)
    chunks = {job.uid for job in world.active()}
    assert {(job.chunk, job.attempt) for job in world.active()} == {(0, 1), (1, 0), (2, 0)}
    world.reconcile(crash_after=before_status)
    assert {job.uid for job in world.active()} == chunks, "work of the new plan goes on"
    world.wait(30)
    world.miss(world.job(Stage.RENDER, 0))
    world.reconcile()
    assert world.phase == "Preparing", "the second loss is one, too, though status has heard of none"
    assert [(job.stage, job.attempt) for job in world.active()] == [(Stage.PREPARE, 2)]


def test_dry_run_ends_after_prepare_without_a_gpu() -> None:
    world = World(document=spec(dryRun=True)).prepared()
    assert world.phase == "Succeeded"
    assert world.condition("Complete").reason is Reason.DRY_RUN_FINISHED
    assert {job.stage for job in world.jobs.values()} == {Stage.PREPARE}


def test_the_deadline_fails_the_video_and_a_retry_gives_it_the_whole_time_again() -> None:
    world = World(document=spec(activeDeadlineSeconds=100)).prepared()
    assert world.decision.requeue_at <= START + timedelta(seconds=100)
    world.wait(100)
    world.reconcile()
    assert world.status.failure.code is ErrorCode.TIMEOUT
    assert world.condition("Failed").reason is Reason.DEADLINE_EXCEEDED
    world.retry("more time")
    world.reconcile()
    assert world.phase == "Rendering"


def test_children_are_deleted_after_their_time_and_the_result_is_not() -> None:
    world = World(document=spec(dryRun=True, ttlSecondsAfterFinished=60)).prepared()
    assert world.reconcile().requeue_at == START + timedelta(seconds=60)
    world.wait(60)
    assert world.reconcile().deletes == (DeleteRevisions(but=None),)
    assert world.jobs == {}
    assert world.reconcile().deletes == ()


def test_changing_the_ttl_of_a_finished_video_is_observed() -> None:
    world = World(document=spec(dryRun=True)).prepared()
    world.edit(spec(dryRun=True, ttlSecondsAfterFinished=60))
    world.reconcile()
    assert world.status.observed_generation == 2
    assert all(c.observed_generation == 2 for c in world.status.conditions)


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
    world = World(document=document)
    decision = world.reconcile()
    assert not decision.creates
    assert world.phase == "Failed"
    assert world.condition("Stalled").status == "True"
    assert world.condition("Failed").reason is reason
    assert world.status.failure.code is code
    assert world.status.failure.field is not None


def test_a_spec_that_the_models_refuse_fails_with_its_field() -> None:
    world = World()
    world.edit(spec(source={}))
    world.reconcile()
    assert world.condition("Failed").reason is Reason.INVALID_SPEC
    assert world.status.failure.field == "spec.source"
    writes = world.status_writes
    world.wait(100)
    world.reconcile()
    assert world.status_writes == writes


def test_a_profile_that_was_added_later_is_found_by_a_retry() -> None:
    world = World(document=spec(profile="gold"))
    world.reconcile()
    gold = world.settings.profiles["default"]
    world.settings = world.settings.model_copy(update={"profiles": {"gold": gold}})
    world.retry("now")
    assert starts(world.reconcile()) == [(Stage.PREPARE, None, 0)]


def test_a_profile_without_the_store_of_a_running_video_fails_it_plainly() -> None:
    world = World().prepared()
    profile = world.settings.profiles["default"]
    other = profile.model_copy(update={"stores": {"b": profile.stores["default"]}, "default_store": "b"})
    world.settings = world.settings.model_copy(update={"profiles": {"default": other}})
    world.reconcile()
    assert world.phase == "Failed"
    assert "store" in world.status.failure.message


def test_fields_without_effect_are_told_as_warnings() -> None:
    world = World(document=spec(render={"steps": 8}))
    world.reconcile()
    assert world.status.warnings == ("spec.render.steps has no effect with the preview engine",)


def test_a_video_that_waits_for_the_cluster_says_its_place() -> None:
    world = World()
    first = QueueEntry("other", "ns", 0, START - timedelta(hours=1), wanted=5)
    world.admission = Admission(limit=2, active={"ns": 2}, entries={"other": first})
    world.prepared()
    assert world.active() == []
    assert world.status.queue_position == 2
    assert world.condition("Ready").reason is Reason.QUEUED


def test_jobs_of_a_kueue_queue_are_not_held_back() -> None:
    world = World(document=spec(queueName="gpu"))
    world.admission = Admission(limit=1, active={"ns": 1})
    world.prepared()
    assert len(world.active()) == 3


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        ({"unschedulable": "0/3 nodes are available"}, Reason.UNSCHEDULABLE),
        ({"container": ("ImagePullBackOff", "no such image")}, Reason.IMAGE_PULL_FAILED),
        ({"container": ("CreateContainerConfigError", 'secret "s3" not found')}, Reason.STORE_SECRET_MISSING),
    ],
)
def test_what_holds_a_pod_up_is_told_after_a_while(pod: Any, reason: Any) -> None:
    world = World()
    world.reconcile()
    changes = dict(pod)
    if waiting := changes.pop("container", None):
        changes["containers"] = (Container("fetch", init=True, waiting_reason=waiting[0], waiting_message=waiting[1]),)
    world.set_pod(world.pod_of(world.job(Stage.PREPARE)), **changes)
    assert world.condition("Ready").reason is Reason.PREPARING
    assert world.reconcile().requeue_at == START + timedelta(seconds=15)
    world.wait(15)
    world.reconcile()
    assert world.condition("Ready").reason is reason
    assert world.condition("Reconciling").status == "True"


@pytest.mark.parametrize("letter", ["p", "ü", "話", "🙂"])
def test_status_stays_below_64_kib_with_500_chunks_of_which_256_run_and_all_have_failed(letter: Any) -> None:
    prompts = {"prompt": letter * 4_000, "negativePrompt": letter * 4_000}
    world = World(chunks=500, document=spec(chunking={"maxParallel": 256}, **prompts)).prepared()
    while len(world.status.chunks.failed) < 500:
        for job in [j for j in world.active() if j.attempt == 0]:
            world.fail(job)
        world.reconcile()
    assert len(world.status.to_json().encode()) < 64 * 1024
    world.wait(20)
    world.reconcile()
    world.reconcile()
    assert len(world.active()) == 256
    assert len(world.status.chunks.active) == 64
    assert len(world.status.to_json().encode()) < 64 * 1024
    world.fail(world.active()[0], ErrorCode.STORE_ACCESS, message=refusal(letter * 1_000))
    world.reconcile()
    assert world.phase == "Failed"
    assert len(world.status.to_json().encode()) < 64 * 1024


def test_status_shows_a_loras_address_without_its_signature_and_stages_get_it_whole() -> None:
    loras = [{"uri": f"https://example.com/{number}?sig={'x' * 1_900}", "scale": 0.5} for number in range(7)]
    loras.insert(3, {"name": "mine"})
    document = spec(engine="infinitetalk", render={"preset": "fast", "loras": loras})
    world = World(settings=config(profile={"preset": "turbo"}), document=document).prepared()
    assert "sig=" not in world.status.to_json()
    assert len(world.status.to_json().encode()) < 8_000
    profile = world.settings.profiles["default"]
    stage_input = build_stage_input(world.video, world.video.spec, world.status.effective, profile)
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
    world = World(chunks=4)
    world.reconcile()
    while world.phase != "Succeeded":
        world.finish(world.active()[0])
        creates = world.reconcile().creates
        assert (creates[:1] == (EnsureStageInput(),)) == bool(starts(world.decision))
        assert not world.reconcile().creates


def test_a_retry_that_has_to_wait_for_a_place_finds_its_order_all_the_same() -> None:
    world = World().prepared()
    world.fail(world.job(Stage.RENDER, 0), ErrorCode.STORE_ACCESS)
    world.reconcile()
    world.wait(8 * 24 * 3_600)
    assert DeleteRevisions(but=None) in world.reconcile().deletes
    world.admission = Admission(limit=1, active={"ns": 1})
    world.retry("once")
    assert starts(world.reconcile()) == []
    world.admission = Admission()
    assert world.reconcile().creates[0] == EnsureStageInput()


def test_a_video_resumed_after_its_order_was_deleted_finds_one() -> None:
    world = World().prepared()
    world.edit(spec(suspend=True))
    world.reconcile()
    world.edit(spec())
    assert world.reconcile().creates[0] == EnsureStageInput()


def test_an_order_that_pods_seem_to_miss_is_placed_again() -> None:
    world = World().prepared()
    for job in world.active():
        waiting = Container("render", init=False, waiting_reason="ContainerCreating")
        world.set_pod(world.pod_of(job), containers=(waiting,))
    assert not world.reconcile().creates
    world.wait(15)
    assert world.reconcile().creates == (EnsureStageInput(),)
    for job in world.active():
        world.run_pod(job)
    assert not world.reconcile().creates


def test_a_video_that_got_some_places_looks_again_for_more() -> None:
    world = World()
    world.admission = Admission(limit=1)
    world.prepared()
    assert len(world.active()) == 1
    for job in world.active():
        world.run_pod(job)
    world.wait(60)
    world.admission = Admission(limit=1, active={"ns": 1})
    assert world.reconcile().requeue_at == world.now + timedelta(seconds=30)


def test_prompts_are_whole_in_the_stage_input_and_take_no_room_in_status() -> None:
    world = World(document=spec(prompt="話" * 4_000, negativePrompt="ü" * 4_000))
    world.reconcile()
    effective = world.status.effective
    assert len(world.status.to_json().encode()) < 4_000
    profile = world.settings.profiles["default"]
    stage_input = build_stage_input(world.video, world.video.spec, effective, profile)
    assert (stage_input.values.prompt, stage_input.values.negative_prompt) == ("話" * 4_000, "ü" * 4_000)
