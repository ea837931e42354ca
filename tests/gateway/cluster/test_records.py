"""What the cache keeps of an object: bounded, without data, and otherwise as it is."""

from __future__ import annotations

from typing import Any

import pytest
from tests.incompressible import incompressible
from tests.operator.fake_cluster import body, spec

from talkingvideo_api import names
from talkingvideo_gateway.cluster.records import MAX_DOCUMENT, ObjectRecord
from talkingvideo_gateway.videos.object import RequestRecord, VideoObject

REQUEST = RequestRecord(dialect="jobs", digest="0" * 64, options={"push_to_s3": True}, warnings=("It was changed.",))
METADATA = {
    "labels": {names.LABEL_CALLER: "alice", names.LABEL_BATCH: "b", "other": "x"},
    "annotations": {names.ANNOTATION_REQUEST: REQUEST.to_json(), names.ANNOTATION_RETRY: "1"},
}


def test_an_object_comes_back_as_it_was_recorded() -> None:
    document = body(spec(prompt="a", cancel=True), **METADATA) | {"status": {"phase": "Rendering", "progress": 40}}
    record = ObjectRecord.of(document)
    assert record.video() == VideoObject.of(document)
    assert (record.caller, record.owner, record.complete) == ("alice", "ns", True)


LARGE: dict[str, dict[str, Any]] = {
    "inline data": {"source": {"image": {"uri": f"data:image/png;base64,{incompressible(180_000)}"}}},
    "a little inline data": {"source": {"image": {"uri": "data:image/png;base64,AAAA"}}},
    "upper case": {"source": {"image": {"uri": f"DATA:image/png;base64,{incompressible(180_000)}"}}},
    "a long text": {"speech": {"speakers": [{"text": incompressible(50_000)}]}},
    "deep": {"render": {"x": [[[incompressible(100_000)]]]}},
}


@pytest.mark.parametrize("changes", LARGE.values(), ids=LARGE)
def test_of_a_large_object_little_is_kept_and_it_says_so(changes: dict[str, Any]) -> None:
    document = body(spec(**changes, cancel=True), **METADATA)
    document["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = incompressible(200_000)
    document["metadata"]["managedFields"] = [{"fieldsV1": incompressible(100_000)}]
    record = ObjectRecord.of(document)
    whole, video = VideoObject.of(document), record.video()
    assert len(record.document) <= MAX_DOCUMENT
    assert not video.complete
    assert "base64" not in str(video.spec)
    assert video.spec["cancel"] is True
    assert (video.request, video.caller, video.state, video.retry) == (
        whole.request,
        whole.caller,
        whole.state,
        whole.retry,
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {"annotations": {names.ANNOTATION_REQUEST: incompressible(250_000)}},
        {"annotations": {names.ANNOTATION_RETRY: incompressible(250_000)}},
        {"annotations": {names.ANNOTATION_REQUEST: '{"dialect": 1}'}},
    ],
)
def test_annotations_that_no_gateway_has_written_take_no_room(metadata: dict[str, Any]) -> None:
    record = ObjectRecord.of(body(spec(), **metadata))
    assert len(record.document) <= MAX_DOCUMENT
    assert record.video().request is None
