"""The failure of a video whose manifest the API server's validation refuses."""

from __future__ import annotations

from typing import Any

import pytest
from tests.operator.fake_cluster import body, spec

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.refused_manifest import refused_manifest

POD = "spec.template.spec"
OVERRIDES = {
    "nodeSelector": {"a": "b"},
    "tolerations": [{"operator": "Exists"}],
    "resources": {"limits": {"cpu": "1"}},
    "imagePullSecrets": ["s"],
}


def parsed(**changes: Any) -> TalkingVideoSpec:
    found = Video.of(body(spec(**changes))).spec
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (f"{POD}.nodeSelector", "spec.overrides.nodeSelector"),
        (f"{POD}.tolerations[3].operator", "spec.overrides.tolerations"),
        (f"{POD}.containers[0].resources.requests[cpu]", "spec.overrides.resources"),
        (f"{POD}.containers[0].resources.limits[example.com/a.b]", "spec.overrides.resources"),
        (f"{POD}.imagePullSecrets[0].name", "spec.overrides.imagePullSecrets"),
        (f"{POD}.priorityClassName", "spec.priority"),
        ("metadata.labels", "spec.queueName"),
        ("metadata.name", None),
        (f"{POD}.containers[0].image", None),
        (f"{POD}.nodeSelectorTerms", None),
        ("", None),
    ],
)
def test_the_field_of_the_spec_is_named_as_far_as_the_path_tells(path: str, field: str | None) -> None:
    failure = refused_manifest("no", [path], parsed(overrides=OVERRIDES, priority="high", queueName="gpu"))
    assert (failure.code, failure.field, failure.retryable) == (ErrorCode.INPUT_VALIDATION, field, False)


def test_a_value_that_can_only_be_the_profiles_is_not_blamed_on_the_spec() -> None:
    for document in (parsed(), parsed(overrides={}), parsed(overrides={"nodeSelector": {"a": "b"}})):
        assert refused_manifest("no", [f"{POD}.tolerations[0]"], document).field is None


def test_a_long_message_is_truncated() -> None:
    assert len(refused_manifest("ü" * 100_000, [], parsed()).message.encode()) <= 1_000
