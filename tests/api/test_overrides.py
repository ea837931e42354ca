"""Overrides: what Kubernetes would refuse in a pod is refused in the object, as far as the object alone tells."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import document

from talkingvideo_api.errors import StageError
from talkingvideo_api.resource import parse

LONG = "a" * 64

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"overrides": {"nodeSelector": {"a b": "x"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {"": "x"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {"a/b/c": "x"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {LONG: "x"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {"a": "x y"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {"a": "-"}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"nodeSelector": {"a": LONG}}}, "spec.overrides.nodeSelector"),
    ({"overrides": {"tolerations": [{}]}}, "spec.overrides.tolerations"),
    ({"overrides": {"tolerations": [{"key": "a b"}]}}, "spec.overrides.tolerations"),
    ({"overrides": {"tolerations": [{"key": "a", "value": "x y"}]}}, "spec.overrides.tolerations"),
    ({"overrides": {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]}}, "spec.overrides.tolerations"),
    ({"overrides": {"tolerations": [{"key": "a", "tolerationSeconds": 1}]}}, "spec.overrides.tolerations"),
    ({"overrides": {"resources": {"limits": {"cpu": "many"}}}}, "spec.overrides.resources.limits"),
    ({"overrides": {"resources": {"limits": {"cpu": "-1"}}}}, "spec.overrides.resources.limits"),
    ({"overrides": {"resources": {"limits": {"cpu": "1 Gi"}}}}, "spec.overrides.resources.limits"),
    ({"overrides": {"resources": {"requests": {"gpu": "1"}}}}, "spec.overrides.resources.requests"),
    ({"overrides": {"resources": {"requests": {"a b/c": "1"}}}}, "spec.overrides.resources.requests"),
    ({"overrides": {"imagePullSecrets": ["A_B"]}}, "spec.overrides.imagePullSecrets"),
    ({"queueName": "a b"}, "spec.queueName"),
    ({"queueName": LONG}, "spec.queueName"),
    ({"queueName": "-a"}, "spec.queueName"),
    ({"priority": "Very High"}, "spec.priority"),
]


@pytest.mark.parametrize(("changes", "field"), REFUSED, ids=str)
def test_a_value_that_makes_an_invalid_job_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(StageError) as error:
        parse(document(**changes))
    assert (error.value.field or "").startswith(field)


ACCEPTED: list[dict[str, Any]] = [
    {"nodeSelector": {"kubernetes.io/arch": "amd64", "a_B.c": "", "x": "A-1_b.c"}},
    {"tolerations": [{"operator": "Exists"}, {"key": "nvidia.com/gpu", "value": "yes", "effect": "NoSchedule"}]},
    {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]},
    {"resources": {"requests": {"cpu": "500m", "memory": "16Gi"}, "limits": {"cpu": "1.5", "memory": "2e9"}}},
    {"resources": {"limits": {"ephemeral-storage": "5G", "hugepages-2Mi": "4Mi", "example.com/fpga": "1"}}},
]


@pytest.mark.parametrize("overrides", ACCEPTED, ids=str)
def test_what_kubernetes_accepts_is_accepted(overrides: dict[str, Any]) -> None:
    parse(document(overrides=overrides))
