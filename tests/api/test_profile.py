"""What an administrator may write into a profile. Label selectors mean what they mean in Kubernetes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from talkingvideo_api.profile import LabelSelector, Profile


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


def profile(**changes: Any) -> Profile:
    return Profile.model_validate({"workerImage": "w", "stores": {"default": {"s3": {"bucket": "b"}}}, **changes})


@pytest.mark.parametrize("folder", [".work", "a/.b", "..", "a//b", "a/./b", "a\\b", "*", "films/*"])
def test_folders_of_results_are_normal(folder: str) -> None:
    for changes in (
        {"stores": {"default": {"s3": {"bucket": "b", "prefix": folder}}}},
        {"stores": {"default": {"pvc": {"claim": "c", "path": folder}}}},
        {"allow": {"outputPrefixes": [folder]}},
    ):
        with pytest.raises(ValidationError, match="folder"):
            profile(**changes)


def test_slashes_at_the_ends_of_folders_mean_nothing() -> None:
    made = profile(stores={"default": {"s3": {"bucket": "b", "prefix": "/films/"}}}, allow={"outputPrefixes": ["a/"]})
    store = made.stores["default"].s3
    assert store is not None
    assert (store.prefix, made.allow.output_prefixes) == ("films", ("a",))


@pytest.mark.parametrize("place", ["*", "media", "media/", "media/inputs/", "media/inputs", "media/{namespace}/"])
def test_places_of_inputs(place: str) -> None:
    assert profile(allow={"inputBuckets": [place]}).allow.input_buckets == (place,)


@pytest.mark.parametrize(
    "place", ["", "/", "/media", "media/*", "media/.work/", "media//x", "media/{name}/", "{namespace}", "s3://media/x"]
)
def test_a_place_that_would_match_nothing_or_everything_is_refused(place: str) -> None:
    with pytest.raises(ValidationError, match="must be BUCKET"):
        profile(allow={"inputBuckets": [place]})


@pytest.mark.parametrize("beginning", ["{uid}/", "{name!r}", "{"])
def test_beginnings_of_names_have_the_placeholders_of_names(beginning: str) -> None:
    with pytest.raises(ValidationError, match="the template"):
        profile(allow={"outputNames": [beginning]})
