"""Records of videos: small, whatever the object holds."""

from __future__ import annotations

from typing import Any

import pytest
from tests.incompressible import incompressible
from tests.operator.fake_cluster import body, spec

from talkingvideo_clients.kube.objects import Video
from talkingvideo_clients.kube.records import MAX_DOCUMENT, MAX_OUTLINE, VideoRecord

LARGE: dict[str, dict[str, Any]] = {
    "inline data": {"source": {"image": {"uri": f"data:image/png;base64,{incompressible(180_000)}"}}},
    "a long text": {"speech": {"speakers": [{"text": incompressible(50_000)}]}},
    "long prompts": {"prompt": incompressible(4_000), "negativePrompt": incompressible(4_000)},
    "many LoRAs": {"render": {"loras": [{"uri": f"https://example.com/{incompressible(2_000)}"}] * 3}},
    "many overrides": {
        "overrides": {
            "nodeSelector": {incompressible(200): incompressible(60) for _ in range(1)},
            "tolerations": [{"key": incompressible(300)}] * 16,
        }
    },
}


def test_a_video_comes_back_as_it_was_recorded() -> None:
    document = body(spec(priority="gold"))
    assert VideoRecord.of(document).video() == Video.of(document)


@pytest.mark.parametrize("changes", LARGE.values(), ids=LARGE)
def test_of_a_large_video_only_an_outline_is_kept(changes: dict[str, Any]) -> None:
    document = body(spec(**changes, priority="gold", suspend=True, cancel=True, chunking={"maxParallel": 7}))
    document["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": incompressible(200_000)}
    whole, record = Video.of(document), VideoRecord.of(document)
    outline = record.video()
    assert len(record.document) <= MAX_DOCUMENT
    if record.complete:
        assert outline == whole
        return
    assert (outline.uid, outline.revision, outline.status) == (whole.uid, whole.revision, whole.status)
    assert outline.spec is not None
    assert (outline.spec.priority, outline.spec.suspend, outline.spec.cancel, outline.spec.chunking) == (
        "gold",
        True,
        True,
        whole.spec.chunking if whole.spec else None,
    )
    assert not outline.complete


def test_a_large_video_that_is_invalid_stays_invalid() -> None:
    document = body(spec(prompt=incompressible(50_000)))
    outline = VideoRecord.of(document).video()
    assert outline.spec is None
    assert outline.invalid is not None
    assert outline.invalid == Video.of(document).invalid


def test_an_absurd_status_is_not_kept() -> None:
    document = body(spec())
    document["status"] = {
        "warnings": [incompressible(200) for _ in range(1)],
        "failure": {"message": incompressible(100_000)},
    }
    record = VideoRecord.of(document)
    assert len(record.document) <= MAX_OUTLINE
    assert not record.complete


@pytest.mark.parametrize("value", [None, "1", incompressible(200_000)], ids=["none", "short", "long"])
def test_the_retry_annotation_is_kept_as_the_video_has_it(value: str | None) -> None:
    document = body(spec())
    document["metadata"]["annotations"] = {} if value is None else {"talkingvideo.dev/retry": value}
    assert VideoRecord.of(document).video().retry == Video.of(document).retry
