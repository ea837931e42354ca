"""What a Namespace decides: which profiles serve it, and how much it may use."""

from typing import Any

import pytest
from tests.operator.fake_cluster import FakeCluster, config, created_jobs, spec

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_operator.planning.namespaces import Namespace

FILMS_ONLY = {"namespaceSelector": {"matchLabels": {"team": "films"}}}


def in_namespace(labels: dict[str, str], document: Any = None, **settings: Any) -> FakeCluster:
    namespace = Namespace(labels=labels)
    return FakeCluster(settings=config(**settings), document=document or spec(), namespace=namespace)


@pytest.mark.parametrize("document", [spec(), spec(profile="default")], ids=["by-default", "by-name"])
def test_a_profile_that_does_not_serve_the_namespace_fails_the_video_with_the_field(document: Any) -> None:
    cluster = in_namespace({"team": "news"}, document, profile=FILMS_ONLY)
    assert not cluster.reconcile().creates
    assert cluster.status.failure.field == "spec.profile"
    assert "does not serve the namespace ns" in cluster.status.failure.message
    assert cluster.condition("Failed").reason is Reason.NOT_ALLOWED


def test_a_profile_serves_the_namespaces_that_it_selects() -> None:
    cluster = in_namespace({"team": "films", "stage": "live"}, profile=FILMS_ONLY)
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]


def test_a_video_that_was_accepted_fails_once_its_namespace_has_lost_the_label() -> None:
    cluster = in_namespace({"team": "films"}, profile=FILMS_ONLY).prepared()
    cluster.namespace = Namespace()
    cluster.finish(cluster.job(Stage.RENDER, 0))
    assert not cluster.reconcile().creates
    assert cluster.phase == "Failed"
    assert cluster.active() == []


def test_a_video_that_has_succeeded_stays_so() -> None:
    cluster = in_namespace({"team": "films"}, profile=FILMS_ONLY).prepared()
    while cluster.active():
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    cluster.namespace = Namespace()
    cluster.reconcile()
    assert cluster.phase == "Succeeded"


GPUS = {"engine": "infinitetalk", "gpu": {}}
EIGHT = spec(render={"gpusPerChunk": 8})


@pytest.mark.parametrize(
    ("settings", "namespace", "where"),
    [
        ({"maxParallel": 4}, Namespace(), "the cluster may render with 4"),
        ({}, Namespace(limits={Stage.RENDER: 6}), "the namespace may render with 6"),
        ({"profile": {"maxParallelPerNamespace": 7}}, Namespace(), "the namespace may render with 7"),
    ],
)
def test_a_chunk_that_needs_more_than_the_whole_bound_fails_and_does_not_wait_forever(
    settings: dict[str, Any], namespace: Namespace, where: str
) -> None:
    settings = {**settings, "profile": {**GPUS, **settings.get("profile", {})}}
    cluster = FakeCluster(settings=config(**settings), document=EIGHT, namespace=namespace)
    assert not cluster.reconcile().creates
    assert cluster.status.failure.field == "spec.render.gpusPerChunk"
    assert f"a chunk needs 8 GPUs, and {where}" in cluster.status.failure.message


@pytest.mark.parametrize("document", [spec(render={"gpusPerChunk": 8}, queueName="q"), {**EIGHT, "dryRun": True}])
def test_the_bound_on_gpus_is_not_for_kueue_and_dry_runs(document: Any) -> None:
    cluster = FakeCluster(settings=config(maxParallel=4, profile=GPUS), document=document)
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]


def test_without_gpus_a_chunk_counts_as_one() -> None:
    cluster = FakeCluster(settings=config(maxParallel=1, profile={**GPUS, "gpu": None}), document=EIGHT)
    assert created_jobs(cluster.reconcile()) == [(Stage.PREPARE, None, 0)]
