"""What status says about a video is checked at every step: somebody else may have written it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, config, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.effective import Effective
from talkingvideo_api.names import Stage
from talkingvideo_api.spec import Preset
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.pod import build_pod_spec

STORES = {"default": {"s3": {"bucket": "media"}}, "other": {"s3": {"bucket": "elsewhere"}}}
PROFILE = {"engine": "infinitetalk", "engines": ["infinitetalk", "preview"], "stores": STORES}


def forge(cluster: FakeCluster, **changes: Any) -> Effective:
    """Somebody writes into status.effective; returns what stood there before."""
    before: Effective = cluster.status.effective
    forged = before.model_copy(update=changes)
    cluster.video = replace(cluster.video, status=cluster.status.model_copy(update={"effective": forged}))
    return before


FORGED: list[dict[str, Any]] = [
    {"worker_image": "evil:1"},
    {"worker_image": ""},
    {"engine": "evil"},
    {"profile": "gold"},
    {"store": "evil"},
    {"output_name": "other/x"},
    {"output_name": ".work/other/chunks"},
    {"overwrite": True},
    {"gpus_per_chunk": 8},
    {"sampling": None},
    {"max_frames": 1},
    {"seed": 1},
]


@pytest.mark.parametrize("changes", FORGED)
def test_forged_values_are_derived_again_and_the_video_starts_from_prepare(changes: Any) -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE)).prepared()
    rendering = [job.name for job in cluster.active()]
    wanted = forge(cluster, **changes)
    decision = cluster.reconcile()
    assert cluster.status.effective == wanted
    assert created_jobs(decision) == [(Stage.PREPARE, None, 1)]
    assert not set(rendering) & set(cluster.jobs), "what was made with other values is ended"
    assert cluster.status.chunks is None
    (event,) = [event for event in decision.events if event.reason is Reason.RESTARTED]
    assert "finished chunks are kept" in event.message


def test_a_forged_sampling_counts_only_as_far_as_the_profile_could_have_chosen_it() -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE)).prepared()
    sampling = cluster.status.effective.sampling
    forge(cluster, sampling=sampling.model_copy(update={"steps": 99}))
    cluster.reconcile()
    assert cluster.status.effective.sampling == sampling


def test_effective_values_that_were_removed_skip_no_check() -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE)).prepared()
    cluster.video = replace(cluster.video, status=cluster.status.model_copy(update={"effective": None}))
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]
    assert cluster.status.effective.worker_image == "worker:1"


def test_status_written_before_the_first_reconcile_chooses_nothing() -> None:
    cluster = FakeCluster()
    began = FakeCluster().prepared().status
    forged = began.effective.model_copy(update={"worker_image": "evil:1"})
    cluster.video = replace(cluster.video, status=began.model_copy(update={"effective": forged}))
    cluster.reconcile()
    assert cluster.status.effective.worker_image == "worker:1"


def test_pods_get_the_profiles_image_even_where_the_values_say_otherwise() -> None:
    cluster = FakeCluster().prepared()
    profile = cluster.settings.profiles["default"]
    forged = cluster.status.effective.model_copy(update={"worker_image": "evil:1"})
    context = BuildContext(cluster.video, cluster.video.spec, forged, profile)
    pod = build_pod_spec(context, Stage.PREPARE, None)
    assert {each["image"] for each in [*pod["initContainers"], *pod["containers"]]} == {"worker:1"}


@pytest.mark.parametrize(
    "document",
    [spec(priority="urgent"), spec(output={"name": "other/x"}), spec(output={"s3": {"prefix": ".work"}})],
)
def test_a_spec_is_checked_although_status_says_that_it_was_accepted(document: Any) -> None:
    honest = FakeCluster().prepared()
    cluster = FakeCluster(document=document)
    status = honest.status.model_copy(update={"revision": cluster.video.revision})
    cluster.video = replace(cluster.video, status=status)
    assert not cluster.reconcile().creates
    assert (cluster.phase, cluster.condition("Failed").reason) == ("Failed", Reason.NOT_ALLOWED)


def test_a_permission_that_is_taken_away_ends_the_video_and_one_that_is_given_again_lets_it_be_retried() -> None:
    allowed = config(profile={"allow": {"priorityClasses": ["high"]}})
    cluster = FakeCluster(settings=allowed, document=spec(priority="high")).prepared()
    cluster.settings = config()
    cluster.reconcile()
    assert (cluster.phase, cluster.condition("Failed").reason) == ("Failed", Reason.NOT_ALLOWED)
    assert not cluster.active()
    cluster.settings = allowed
    cluster.retry("again")
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 1)]


CHANGED: list[dict[str, Any]] = [
    {"preset": "quality"},
    {"engine": "preview"},
    {"defaultStore": "other"},
    {"workerImage": "worker:2", "allow": {"workerImages": ["worker:1"]}},
]


@pytest.mark.parametrize("changes", CHANGED)
def test_a_change_of_the_profile_does_not_change_a_video_that_is_being_made(changes: Any) -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE)).prepared()
    before, jobs = cluster.status.effective, set(cluster.jobs)
    cluster.settings = config(profile={**PROFILE, **changes})
    decision = cluster.reconcile()
    assert cluster.status.effective == before
    assert not decision.creates and not decision.deletes
    assert set(cluster.jobs) == jobs
    fresh = FakeCluster(settings=cluster.settings)
    fresh.reconcile()
    assert fresh.status.effective != before


def test_an_image_that_the_profile_no_longer_has_is_replaced_and_finished_chunks_are_found() -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE)).prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    cluster.settings = config(profile={**PROFILE, "workerImage": "worker:2"})
    decision = cluster.reconcile()
    assert created_jobs(decision) == [(Stage.PREPARE, None, 1)]
    assert cluster.status.effective.worker_image == "worker:2"
    (event,) = [event for event in decision.events if event.reason is Reason.RESTARTED]
    assert "status.effective.workerImage" in event.message
    cluster.missing = (1, 2, 3, 4)
    cluster.finish(cluster.job(Stage.PREPARE))
    cluster.reconcile()
    assert cluster.status.chunks.reused == 1
    assert {chunk for _, chunk, _ in created_jobs(cluster.decision)} == {1, 2, 3}


def test_a_result_that_was_joined_from_other_values_is_not_delivered() -> None:
    cluster = FakeCluster(chunks=1).prepared()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    cluster.reconcile()
    cluster.finish(cluster.job(Stage.STITCH))
    forge(cluster, output_name="other/x")
    cluster.wait(1)
    cluster.reconcile()
    assert cluster.phase == "Preparing"
    cluster.finish(cluster.job(Stage.PREPARE))
    cluster.reconcile()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    assert created_jobs(cluster.reconcile()) == [(Stage.STITCH, None, 1)]


def test_a_restart_keeps_what_failures_are_allowed() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    for image in ("evil:1", "evil:2", "evil:3", "evil:4"):
        forge(cluster, worker_image=image)
        cluster.reconcile()
    assert cluster.phase == "Preparing"
    (entry,) = cluster.status.stage_attempts
    assert (entry.failures, entry.next_attempt) == (0, 4)


def preset_of(cluster: FakeCluster) -> Preset:
    cluster.reconcile()
    preset: Preset = cluster.status.effective.sampling.preset
    return preset


def test_a_preset_that_the_profile_chose_is_kept_and_one_that_the_spec_names_comes_first() -> None:
    cluster = FakeCluster(settings=config(profile={**PROFILE, "preset": "turbo"})).prepared()
    cluster.settings = config(profile={**PROFILE, "preset": "fast"})
    presets = [preset_of(cluster)]
    cluster.edit(spec(render={"preset": "quality"}))
    assert [*presets, preset_of(cluster)] == [Preset.TURBO, Preset.QUALITY]


def test_the_same_values_are_no_reason_to_start_again() -> None:
    cluster = FakeCluster(settings=config(profile=PROFILE), document=spec(render={"seed": -1})).prepared()
    assert not any(event.reason is Reason.RESTARTED for event in cluster.reconcile().events)
    assert cluster.phase == "Rendering"
