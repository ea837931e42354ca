"""Projections of objects, which anyone with access to a namespace may have written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operator.fake_cluster import body, spec

from talkingvideo_api import names
from talkingvideo_clients.kube.objects import MAX_CONTAINERS, MAX_MESSAGE, Job, Pod, Video, try_parse

OWNED: dict[str, Any] = {
    "metadata": {
        "name": "hello-r0-0",
        "namespace": "films",
        "labels": {
            names.LABEL_UID: "u1",
            names.LABEL_REVISION: "0a1b2c3d",
            names.LABEL_STAGE: "render",
            names.LABEL_CHUNK: "0",
            names.LABEL_ATTEMPT: "0",
        },
        "ownerReferences": [{"kind": "TalkingVideo", "name": "hello", "uid": "u1"}],
    },
    "spec": {},
}


def test_a_job_that_the_video_owns_is_its_child() -> None:
    job = try_parse(Job.of, OWNED)
    assert job is not None
    assert (job.owner, job.chunk) == ("u1", 0)


def test_a_job_of_another_owner_is_none_of_the_videos_children() -> None:
    metadata = {**OWNED["metadata"], "ownerReferences": [{"kind": "TalkingVideo", "name": "other", "uid": "u2"}]}
    assert try_parse(Job.of, {**OWNED, "metadata": metadata}) is None


@pytest.mark.parametrize("owners", [None, []])
def test_a_job_that_nobody_owns_is_an_orphan(owners: Any) -> None:
    job = try_parse(Job.of, {**OWNED, "metadata": {**OWNED["metadata"], "ownerReferences": owners}})
    assert job is not None and job.orphaned


@pytest.mark.parametrize("label", [names.LABEL_UID, names.LABEL_STAGE, names.LABEL_ATTEMPT])
def test_a_job_without_a_label_is_ignored(label: str) -> None:
    labels = {key: value for key, value in OWNED["metadata"]["labels"].items() if key != label}
    assert try_parse(Job.of, {**OWNED, "metadata": {**OWNED["metadata"], "labels": labels}}) is None


@pytest.mark.parametrize("label", [names.LABEL_CHUNK, names.LABEL_ATTEMPT])
@pytest.mark.parametrize("value", ["-1", "10000", "9" * 63, "one", ""])
def test_a_job_with_an_impossible_number_is_ignored(label: str, value: str) -> None:
    labels = {**OWNED["metadata"]["labels"], label: value}
    assert try_parse(Job.of, {**OWNED, "metadata": {**OWNED["metadata"], "labels": labels}}) is None


def test_a_long_retry_annotation_is_known_by_its_digest_so_that_status_stays_small() -> None:
    def retry(value: str) -> str | None:
        document = body(spec())
        document["metadata"]["annotations"] = {names.ANNOTATION_RETRY: value}
        return Video.of(document).retry

    assert retry("1764285600") == "1764285600"
    long, other = retry("x" * 200_000), retry("x" * 199_999 + "y")
    assert long is not None and len(long) < 80
    assert long != other


def test_what_is_kept_of_pods_and_jobs_is_bounded() -> None:
    """Whoever may create them in a namespace may also write their status."""
    long = "x" * 100_000
    waiting = {"name": "render", "state": {"waiting": {"reason": long, "message": long}}}
    ended = {"name": "render", "state": {"terminated": {"reason": long, "message": long, "exitCode": 1}}}
    status = {"reason": long, "message": long, "containerStatuses": [waiting, ended] * 500}
    metadata = {"uid": "p", "resourceVersion": "1", "creationTimestamp": "2026-01-01T00:00:00Z", **OWNED["metadata"]}
    pod = Pod.of({"metadata": metadata, "status": status})
    condition = {"type": "Failed", "status": "True", "reason": long, "message": long}
    job = Job.of({**OWNED, "status": {"conditions": [condition]}})
    kept = repr(pod)
    assert len(pod.containers) <= MAX_CONTAINERS
    assert len(kept) < (2 * MAX_MESSAGE) * (MAX_CONTAINERS + 1)
    assert len(repr(job)) < 2 * MAX_MESSAGE
