"""What status, conditions and events show is one line of text, whatever authors, files and servers have written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.operator.fake_cluster import START, FakeCluster, body, config, spec

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import ANNOTATION_RETRY, Stage
from talkingvideo_api.reports import FailureReport
from talkingvideo_clients.kube.objects import Container, Video
from talkingvideo_operator.planning.admission import Admission
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.planning.plan import plan

CLIPBOARD, TURNED, LINE = "\x1b]52;c;ZXZpbA==\x07", "\u202ednopser", "\nReady  True"
HOSTILE = f"a{CLIPBOARD}{TURNED}{LINE}\x9b2J\u2028"

AUTHORS: dict[str, dict[str, Any]] = {
    "a label of nodes": {"overrides": {"nodeSelector": {HOSTILE: "x"}}},
    "a resource": {"overrides": {"resources": {"limits": {HOSTILE: "1"}}}},
    "an engine": {"engine": HOSTILE},
    "a profile": {"profile": HOSTILE},
    "a store": {"output": {"store": HOSTILE}},
    "a voice": {"speech": {"speakers": [{"text": "Hello.", "voice": HOSTILE}]}},
    "a bucket": {"output": {"s3": {"bucket": HOSTILE}}},
    "a name": {"output": {"name": HOSTILE}},
    "a template": {"output": {"name": "{" + HOSTILE + "}"}},
    "a prefix": {"output": {"s3": {"prefix": HOSTILE}}},
    "a host": {"source": {"image": {"uri": f"https://{HOSTILE}/a.png"}}},
    "a host with a Secret": {"source": {"image": {"uri": f"https://{HOSTILE}/a.png", "headersSecretName": "auth"}}},
    "an object's key": {"source": {"image": {"uri": f"s3://media/ns/{HOSTILE}.png"}}},
    "another bucket": {"source": {"image": {"uri": f"s3://{HOSTILE}/a.png"}}},
    "a claim": {"source": {"image": {"uri": f"pvc://{HOSTILE}/a.png"}}},
    "a ConfigMap": {"source": {"image": {"uri": f"configmap://{HOSTILE}/a.png"}}},
    "a field that does not exist": {HOSTILE: 1},
}


def texts(value: Any) -> Iterator[str]:
    """Every text in a document, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *texts(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


@pytest.mark.parametrize("changes", AUTHORS.values(), ids=list(AUTHORS))
def test_texts_of_an_author_are_plain(changes: dict[str, Any]) -> None:
    allow = {"overrides": ["nodeSelector", "resources"], "secrets": [{"name": "auth", "hosts": ["*"]}]}
    video = Video.of(body(spec(**changes)))
    decision = plan(video, Children(), config(profile={"allow": allow}), START, Admission, Namespace())
    for text in texts(decision.status.to_dict()):
        assert text.isprintable(), text


def test_texts_of_an_annotation_are_plain() -> None:
    document = body(spec())
    document["metadata"]["annotations"] = {ANNOTATION_RETRY: HOSTILE}
    decision = plan(Video.of(document), Children(), config(), START, Admission, Namespace())
    assert all(text.isprintable() for text in texts(decision.status.to_dict()))


def test_texts_of_a_container_that_reads_media_are_plain() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    report = {"kind": "failure", "code": "E_INPUT_VALIDATION", "message": HOSTILE, "field": HOSTILE, "retryable": False}
    cluster.fail(cluster.job(Stage.PREPARE), message=json.dumps(report))
    cluster.reconcile()
    assert cluster.phase == "Failed"
    assert cluster.status.failure.message.startswith("a ]52;c;")
    assert all(text.isprintable() for text in texts(cluster.status.to_dict()))


def test_texts_of_what_keeps_a_pod_from_running_are_plain() -> None:
    cluster = FakeCluster()
    cluster.reconcile()
    waiting = Container("fetch", init=True, waiting_reason="ImagePullBackOff", waiting_message=HOSTILE)
    cluster.set_pod(cluster.pod_of(cluster.job(Stage.PREPARE)), containers=(waiting,))
    cluster.wait(15)
    cluster.reconcile()
    assert "a" in cluster.condition("Ready").message
    assert all(text.isprintable() for text in texts(cluster.status.to_dict()))


def test_a_report_of_a_failure_keeps_its_words() -> None:
    report = FailureReport(code=ErrorCode.INTERNAL, message="The file is a poem: „Über“ 東京.", retryable=False)
    assert report.message == "The file is a poem: „Über“ 東京."
