"""Bounds and fair shares, with the operator's real queue and handlers: nobody has the cluster to themselves."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tests.operator.many_videos import ManyVideos

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage


def test_five_hundred_videos_at_once_never_have_more_prepare_jobs_than_the_bound() -> None:
    cluster = ManyVideos(maxParallelPrepare=32)
    cluster.create("ns", 500)
    cluster.settle()
    assert len(cluster.active(Stage.PREPARE)) == 32
    for _ in range(100):
        cluster.finish(cluster.active(Stage.PREPARE)[0])
        assert len(cluster.active(Stage.PREPARE)) == 32, "a slot that becomes free is taken at once"
    assert cluster.most[Stage.PREPARE] == 32


def test_a_bound_is_there_although_nobody_has_configured_it() -> None:
    cluster = ManyVideos()
    cluster.create("ns", 40)
    cluster.settle()
    assert len(cluster.active()) == 32


def test_a_video_that_waits_to_be_prepared_says_so() -> None:
    cluster = ManyVideos(maxParallelPrepare=1)
    uids = cluster.create("ns", 3)
    cluster.settle()
    status = cluster.status(uids[2])
    assert status.queue_position == 2
    ready = status.conditions[0]
    assert (ready.reason, ready.message) == (Reason.QUEUED, "waiting for a prepare slot: number 2 in the queue")


def test_the_joins_are_bounded_too() -> None:
    cluster = ManyVideos(maxParallelStitch=2)
    cluster.create("ns", 6)
    cluster.settle()
    for _ in range(6 * 5):
        unjoined = [job for job in cluster.active() if job.stage is not Stage.STITCH]
        if unjoined:
            cluster.finish(unjoined[0])
    assert len(cluster.active(Stage.STITCH)) == cluster.most[Stage.STITCH] == 2
    while cluster.active():
        cluster.finish(cluster.active()[0])
    assert all(video.status.phase == "Succeeded" for video in cluster.videos())


def test_a_namespace_with_one_video_gets_the_next_free_slot_although_another_has_a_hundred() -> None:
    cluster = ManyVideos(maxParallelPrepare=8)
    cluster.create("many", 100)
    cluster.settle()
    assert cluster.by_namespace() == {"many": 8}
    cluster.create("one", 1)
    cluster.settle()
    assert cluster.by_namespace() == {"many": 8}
    cluster.finish(cluster.active()[0])
    assert cluster.by_namespace(Stage.PREPARE) == {"many": 7, "one": 1}


def test_pods_that_cannot_start_keep_no_slot_from_the_others() -> None:
    """A namespace without the claim, the Secret or the quota that its pods need: none of them ever starts."""
    cluster = ManyVideos(maxParallelPrepare=4)
    cluster.create("stuck", 20)
    cluster.settle()
    cluster.create("one", 2)
    cluster.settle()
    assert cluster.by_namespace() == {"stuck": 4}
    for job in cluster.active()[:2]:
        cluster.age(job)
    assert cluster.by_namespace() == {"stuck": 2, "one": 2}
    assert cluster.most[Stage.PREPARE] == 4


@pytest.mark.parametrize("slots", [4, 8, 10])
def test_weights_of_one_to_three_are_honoured_within_one_slot(slots: int) -> None:
    cluster = ManyVideos(maxParallelPrepare=slots)
    cluster.namespace("heavy", weight="3")
    cluster.create("light", 40)
    cluster.create("heavy", 40)
    cluster.settle()
    seen: list[Counter[str]] = []
    for _ in range(30):
        cluster.finish(cluster.active(Stage.PREPARE)[0])
        seen.append(cluster.by_namespace(Stage.PREPARE))
    for shares in seen[slots:]:
        assert abs(shares["light"] - slots / 4) <= 1


def test_chunks_count_by_their_gpus() -> None:
    cluster = ManyVideos(maxParallel=10, profile={"engine": "infinitetalk", "gpu": {}})
    cluster.create("ns", 2, render={"gpusPerChunk": 4}, chunking={"maxParallel": 8})
    cluster.settle()
    for job in cluster.active(Stage.PREPARE):
        cluster.finish(job)
    assert len(cluster.active(Stage.RENDER)) == 2


def annotated(**annotations: str) -> ManyVideos:
    cluster = ManyVideos(profile={"maxParallelPerNamespace": 2})
    cluster.namespace("ns", **annotations)
    cluster.create("ns", 5)
    cluster.settle()
    return cluster


@pytest.mark.parametrize(
    ("annotations", "prepares", "renders"),
    [
        ({}, 5, 2),
        ({"max_parallel_prepare": "1"}, 1, 2),
        ({"max_parallel": "3"}, 5, 3),
        ({"max_parallel_prepare": "0", "max_parallel": "-1", "weight": "many"}, 5, 2),
        ({"max_parallel_prepare": "1" * 300, "max_parallel": "٣"}, 5, 2),
    ],
)
def test_a_namespace_has_its_own_bounds_and_invalid_ones_are_ignored(
    annotations: dict[str, str], prepares: int, renders: int
) -> None:
    cluster = annotated(**annotations)
    assert len(cluster.active(Stage.PREPARE)) == prepares
    while cluster.active(Stage.PREPARE):
        cluster.finish(cluster.active(Stage.PREPARE)[0])
    assert len(cluster.active(Stage.RENDER)) == renders


def test_ignored_annotations_are_logged_once(caplog: Any) -> None:
    annotated(weight="0")
    assert caplog.text.count("talkingvideo.dev/weight: '0' is ignored") == 1


def test_asking_for_slots_does_not_count_all_videos_again_for_each_of_them() -> None:
    cluster = ManyVideos(maxParallelPrepare=2)
    cluster.create("ns", 200)
    cluster.settle()
    unchanged = cluster.reconciler._slots.admission()
    for video in cluster.videos():
        cluster.queue.add(video.uid)
    cluster.settle()
    assert cluster.reconciler._slots.admission() is unchanged
