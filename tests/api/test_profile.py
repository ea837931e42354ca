"""Profiles: label selectors mean what they mean in Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from talkingvideo_api.profile import LabelSelector


def requirement(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "matches"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchLabels": {"a": "1"}}, {}, False),
        (requirement("a", "In", "1", "2"), {"a": "2"}, True),
        (requirement("a", "In", "1"), {}, False),
        (requirement("a", "NotIn", "1"), {"a": "1"}, False),
        (requirement("a", "NotIn", "1"), {}, True),
        (requirement("a", "Exists"), {"a": ""}, True),
        (requirement("a", "Exists"), {}, False),
        (requirement("a", "DoesNotExist"), {"a": ""}, False),
        (requirement("a", "DoesNotExist"), {"b": ""}, True),
        ({"matchLabels": {"b": "1"}, **requirement("a", "Exists")}, {"a": ""}, False),
    ],
)
def test_a_selector_matches(selector: dict[str, Any], labels: dict[str, str], matches: bool) -> None:
    assert LabelSelector.model_validate(selector).matches(labels) is matches


@pytest.mark.parametrize(
    "broken", [requirement("a", "In"), requirement("a", "Exists", "1"), requirement("a", "Is", "1")]
)
def test_an_expression_that_says_nothing_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LabelSelector.model_validate(broken)
