"""Reports and statuses that somebody has forged: each counts as a failed attempt or as nothing, and every video ends.

A termination message is written by a container that has parsed a stranger's media. Status may be written by whoever has
rights on it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.operator.fake_cluster import FakeCluster, body, config, spec

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_report, encode_bitmap, encode_report
from talkingvideo_clients.kube.objects import Video

CHUNKS = 5
NAN, INFINITY = float("nan"), float("inf")

FORGED: list[tuple[Stage, dict[str, Any]]] = [
    (Stage.PREPARE, {"chunkFrames": []}),
    (Stage.PREPARE, {"chunkFrames": [1] * 501, "missing": encode_bitmap(range(501), 501)}),
    (Stage.PREPARE, {"chunkFrames": [100, 100, 0, 100, 100]}),
    (Stage.PREPARE, {"chunkFrames": [100, 100, -5, 100, 100]}),
    (Stage.PREPARE, {"chunkFrames": [100, 100, 10**9, 100, 100]}),
    (Stage.PREPARE, {"chunkFrames": [100, 100, "many", 100, 100]}),
    (Stage.PREPARE, {"chunkFrames": 10**9}),
    (Stage.PREPARE, {"missing": "!!!!"}),
    (Stage.PREPARE, {"missing": "A"}),
    (Stage.PREPARE, {"missing": ""}),
    (Stage.PREPARE, {"missing": encode_bitmap([0], 64)}),
    (Stage.PREPARE, {"missing": "/w=="}),
    (Stage.PREPARE, {"missing": "ÿÿ=="}),
    (Stage.PREPARE, {"planDigest": ""}),
    (Stage.PREPARE, {"planDigest": "../" * 20}),
    (Stage.PREPARE, {"width": 0}),
    (Stage.PREPARE, {"deliveredHeight": -(2**70)}),
    (Stage.PREPARE, {"width": NAN}),
    (Stage.PREPARE, {"estimate": {"windows": 1, "gpuSeconds": NAN}}),
    (Stage.PREPARE, {"estimate": {"windows": 1, "cost": INFINITY}}),
    (Stage.PREPARE, {"estimate": {"windows": -1}}),
    (Stage.PREPARE, {"warnings": ["w"] * 1_000_000}),
    (Stage.PREPARE, {"warnings": {"a": 1}}),
    (Stage.PREPARE, {"unknown": 1}),
    (Stage.PREPARE, {"kind": "stitch"}),
    (Stage.RENDER, {"chunk": 1}),
    (Stage.RENDER, {"chunk": -1}),
    (Stage.RENDER, {"chunk": 10**9}),
    (Stage.RENDER, {"key": "another"}),
    (Stage.RENDER, {"frames": 0}),
    (Stage.RENDER, {"frames": 99}),
    (Stage.RENDER, {"gpuSeconds": INFINITY}),
    (Stage.RENDER, {"partSeconds": {"a": NAN}}),
    (Stage.RENDER, {"warnings": [["nested"]]}),
    (Stage.STITCH, {"frameCount": 1}),
    (Stage.STITCH, {"frameCount": 10**12}),
    (Stage.STITCH, {"durationSeconds": NAN}),
    (Stage.STITCH, {"durationSeconds": 7_200.0}),
    (Stage.STITCH, {"frameRate": 0}),
    (Stage.STITCH, {"width": 482}),
    (Stage.STITCH, {"sha256": "0"}),
    (Stage.STITCH, {"mimeType": "text/html"}),
    (Stage.STITCH, {"uri": "s3://media/neighbour/hello.mp4"}),
    (Stage.STITCH, {"uri": "https://evil.example/hello.mp4"}),
    (Stage.STITCH, {"artifacts": {}}),
    (
        Stage.STITCH,
        {
            "artifacts": {
                "thumbnail": {"uri": "https://evil.example/a.jpg", "mediaType": "image/jpeg"},
                "report": {"uri": "s3://media/ns/hello.json", "mediaType": "application/json"},
            }
        },
    ),
]


def stage_reached(stage: Stage) -> FakeCluster:
    """A cluster whose video has running Jobs of a stage."""
    cluster = FakeCluster(chunks=CHUNKS)
    cluster.reconcile()
    while not any(job.stage is stage for job in cluster.active()):
        cluster.finish(cluster.active()[0])
        cluster.reconcile()
    return cluster


def forge(cluster: FakeCluster, stage: Stage, changes: dict[str, Any]) -> None:
    for job in cluster.active():
        if job.stage is stage:
            honest = json.loads(encode_report(cluster.report(job)))
            changed = {**honest, **changes} if job.chunk in (None, 0) else honest
            cluster.succeed_pod(job, message=json.dumps(changed))
            cluster.complete_job(job)


@pytest.mark.parametrize(("stage", "changes"), FORGED, ids=lambda value: str(value)[:60])
def test_a_forged_report_counts_as_a_failed_attempt_and_the_video_ends_in_words(
    stage: Stage, changes: dict[str, Any]
) -> None:
    cluster = stage_reached(stage)
    attempts = 0
    while cluster.phase != "Failed":
        forge(cluster, stage, changes)
        cluster.reconcile()
        cluster.wait(400)
        cluster.reconcile()
        attempts += 1
        assert attempts <= 4
    failure = cluster.status.failure
    assert (failure.code, failure.stage) == (ErrorCode.INTERNAL, stage)
    assert f"the report of {stage.value} is invalid" in failure.message
    assert cluster.active() == []


def test_a_forged_attempt_is_followed_by_an_honest_one() -> None:
    cluster = stage_reached(Stage.PREPARE)
    forge(cluster, Stage.PREPARE, {"missing": "!!!!"})
    cluster.reconcile()
    cluster.wait(10)
    cluster.reconcile()
    finish(cluster)
    assert cluster.phase == "Succeeded"


def finish(cluster: FakeCluster) -> None:
    """Let everything go well until the video ends; it must."""
    for _ in range(60):
        cluster.reconcile()
        if cluster.phase in ("Succeeded", "Failed"):
            return
        for job in cluster.active():
            cluster.finish(job)
        cluster.wait(400)
    raise AssertionError(f"the video stays in {cluster.phase}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, derandomize=True)
@given(data=st.data(), stage=st.sampled_from(Stage), value=JSON)
def test_whatever_a_pod_reports_the_decision_is_made(data: Any, stage: Stage, value: Any) -> None:
    cluster = stage_reached(stage)
    job = next(job for job in cluster.active() if job.stage is stage)
    honest = json.loads(encode_report(cluster.report(job)))
    field = data.draw(st.sampled_from(sorted(honest)))
    cluster.succeed_pod(job, message=json.dumps({**honest, field: value}))
    finish(cluster)


@given(st.binary(max_size=5_000))
def test_any_bytes_are_a_report_or_none(message: bytes) -> None:
    decode_report(message.decode(errors="replace"))


def written(cluster: FakeCluster) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(cluster.status.to_json())
    return document


def with_status(cluster: FakeCluster, status: dict[str, Any]) -> FakeCluster:
    """The same cluster after somebody has written its video's status."""
    document = {**body(cluster.document), "status": status}
    cluster.video = replace(Video.of(document), resource_version=cluster.video.resource_version)
    return cluster


FORGED_CHUNKS: list[dict[str, Any]] = [
    {"total": 10**9},
    {"total": 0, "frames": [], "finished": ""},
    {"total": 500},
    {"finished": "!!!!"},
    {"finished": ""},
    {"finished": encode_bitmap([0], 500)},
    {"done": 5},
    {"done": -1},
    {"reused": 5},
    {"frames": [100] * 4},
    {"frames": [0] * 5},
    {"frames": [10**18] * 5},
    {"failed": [{"index": 7, "failures": 1, "nextAttempt": 1}]},
    {"failed": [{"index": 0, "failures": -1, "nextAttempt": 1}]},
    {"failed": [{"index": 0, "failures": 1, "nextAttempt": 10**30}]},
    {"failed": [{"index": 0, "failures": 1, "nextAttempt": 1, "notBefore": "9999-12-31T23:59:59Z"}]},
    {"failed": [{"index": 0, "failures": 1, "nextAttempt": 1, "notBefore": "2026-01-01T00:00:00"}]},
    {"failed": [{"index": 0, "failures": 1, "nextAttempt": 1}] * 501},
]

FORGED_STATUSES: list[dict[str, Any]] = [
    *({"chunks": changes} for changes in FORGED_CHUNKS),
    {"chunks": None},
    {"planDigest": None},
    {"planDigest": "none"},
    {"startTime": "0001-01-01T00:00:00Z"},
    {"startTime": "9999-12-31T23:59:59Z"},
    {"startTime": "2026-01-01T00:00:00"},
    {"preparedTime": "0001-01-01T00:00:00Z"},
    {"stageAttempts": [{"stage": "stitch", "failures": 0, "nextAttempt": -1}]},
    {"stageAttempts": [{"stage": "prepare", "failures": 10**9, "nextAttempt": 10**9}]},
    {"usage": {"gpuSeconds": 1e308}},
    {"timings": {"queuedSeconds": -1}},
    {"warnings": ["w" * 100_000]},
    {"warnings": ["w"] * 10_000},
    {"conditions": []},
    {"conditions": "all"},
    {"progress": 10**9},
    {"queuePosition": -1},
    {"observedRetry": "r" * 100_000},
    {"phase": "Flying"},
    {"effective": {}},
]


@pytest.mark.parametrize("changes", FORGED_STATUSES, ids=lambda value: json.dumps(value)[:70])
def test_whatever_status_says_the_video_is_made(changes: dict[str, Any]) -> None:
    cluster = stage_reached(Stage.RENDER)
    status = written(cluster)
    for name, value in changes.items():
        if value is None:
            status.pop(name)
        elif isinstance(value, dict) and name == "chunks":
            status[name] = {**status[name], **value}
        else:
            status[name] = value
    with_status(cluster, status)
    finish(cluster)
    assert cluster.phase == "Succeeded"


def test_a_status_that_has_used_up_all_numbers_of_attempts_ends_the_video_with_the_next_failure() -> None:
    cluster = stage_reached(Stage.STITCH)
    status = written(cluster)
    status["stageAttempts"] = [{"stage": "stitch", "failures": 0, "nextAttempt": 9_999}]
    with_status(cluster, status).reconcile()
    cluster.fail(cluster.job(Stage.STITCH, attempt=9_999))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.stage_attempts[-1].next_attempt == 9_999


@settings(max_examples=300, derandomize=True)
@given(data=st.data(), value=JSON)
def test_a_status_with_any_value_in_any_field_lets_the_video_end(data: Any, value: Any) -> None:
    cluster = stage_reached(Stage.RENDER)
    status = written(cluster)
    field = data.draw(st.sampled_from(sorted(set(status) - {"effective", "phase"})))
    with_status(cluster, {**status, field: value})
    finish(cluster)


def test_the_status_of_every_step_is_one_that_can_be_read() -> None:
    cluster = FakeCluster(document=spec(chunking={"maxParallel": 4}), settings=config(backOff={"firstSeconds": 0}))
    for _ in range(40):
        cluster.reconcile()
        read = Video.of({**body(cluster.document), "status": written(cluster)}).status
        assert read.revision == cluster.status.revision
        if cluster.active():
            cluster.finish(cluster.active()[0])
