"""What counts as a video's child, whatever labels others write."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.operator.fake_cluster import START, body, spec

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.objects import Job, Pod
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.cache import Cache

VIDEO = VideoRecord.of(body(spec(), uid="video"))
JOB = Job("job", "ns", "hello-prepare-0", "video", 1, "r", Stage.PREPARE, None, 0, created=START)
POD = Pod("pod", "ns", "hello-prepare-0-x", "video", "job", 1, "Running", START)


def cache_with(pod: Pod) -> Cache:
    cache = Cache()
    cache.videos.update(VIDEO)
    cache.jobs.update(JOB)
    cache.jobs.assume(replace(JOB, uid="", name="hello-r0-0", stage=Stage.RENDER, chunk=0))
    cache.pods.update(pod)
    return cache


def test_a_pod_of_a_videos_job_counts() -> None:
    cache = cache_with(POD)
    assert cache.pods_of(VIDEO) == {"job": (POD,)}
    assert list(cache.running_pods()) == [POD]


@pytest.mark.parametrize(
    "forged",
    [
        replace(POD, job_uid="another"),
        replace(POD, job_uid=""),
        replace(POD, namespace="elsewhere"),
        replace(POD, owner="another"),
    ],
)
def test_a_pod_that_none_of_the_videos_jobs_owns_counts_nowhere(forged: Pod) -> None:
    cache = cache_with(forged)
    assert cache.pods_of(VIDEO) == {}
    assert list(cache.running_pods()) == []


def test_a_job_that_nobody_owns_is_no_videos_job() -> None:
    cache = cache_with(POD)
    cache.jobs.update(replace(JOB, orphaned=True, resource_version=2))
    assert JOB.uid not in {job.uid for job in cache.jobs_of(VIDEO)}
    assert [job.uid for job in cache.orphans("video")] == [JOB.uid]
    cache.jobs.update(replace(JOB, orphaned=True, complete=True, resource_version=3))
    assert cache.orphans("video") == ()


def test_what_has_changed_is_taken_once() -> None:
    cache = cache_with(POD)
    assert cache.take_changed() == {"video"}
    assert cache.take_changed() == set()
    cache.jobs.delete(JOB)
    assert cache.take_changed() == {"video"}
