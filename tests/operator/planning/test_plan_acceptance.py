"""What the operator checks before the first Job."""

from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage


@pytest.mark.parametrize(
    ("document", "reason", "code"),
    [
        (spec(engine="other"), Reason.NOT_SUPPORTED, ErrorCode.NOT_SUPPORTED),
        (spec(notify={"url": "https://example.com"}), Reason.NOT_SUPPORTED, ErrorCode.NOT_SUPPORTED),
        (spec(profile="gold"), Reason.PROFILE_MISSING, ErrorCode.INPUT_VALIDATION),
        (spec(priority="urgent"), Reason.NOT_ALLOWED, ErrorCode.INPUT_VALIDATION),
    ],
)
def test_an_unsupported_or_forbidden_spec_fails_at_once_with_its_reason(document: Any, reason: Any, code: Any) -> None:
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


def test_a_retry_finds_a_profile_that_was_added_later() -> None:
    cluster = FakeCluster(document=spec(profile="gold"))
    cluster.reconcile()
    gold = cluster.settings.profiles["default"]
    cluster.settings = cluster.settings.model_copy(update={"profiles": {"gold": gold}})
    cluster.retry("now")
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]


def test_a_running_video_starts_again_in_the_default_store_when_its_own_is_removed_from_the_profile() -> None:
    cluster = FakeCluster().prepared()
    profile = cluster.settings.profiles["default"]
    other = profile.model_copy(update={"stores": {"b": profile.stores["default"]}, "default_store": "b"})
    cluster.settings = cluster.settings.model_copy(update={"profiles": {"default": other}})
    cluster.reconcile()
    assert (cluster.phase, cluster.status.effective.store) == ("Preparing", "b")


def test_a_running_video_fails_when_the_store_that_it_names_is_removed_from_the_profile() -> None:
    cluster = FakeCluster(document=spec(output={"store": "default"})).prepared()
    profile = cluster.settings.profiles["default"]
    other = profile.model_copy(update={"stores": {"b": profile.stores["default"]}, "default_store": "b"})
    cluster.settings = cluster.settings.model_copy(update={"profiles": {"default": other}})
    cluster.reconcile()
    assert (cluster.phase, cluster.status.failure.field) == ("Failed", "spec.output.store")


def test_fields_without_effect_become_warnings() -> None:
    cluster = FakeCluster(document=spec(render={"steps": 8}))
    cluster.reconcile()
    assert cluster.status.warnings == ("spec.render.steps has no effect with the preview engine",)
