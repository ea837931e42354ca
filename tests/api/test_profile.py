"""What an administrator may write into a profile."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from talkingvideo_api.profile import Profile


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
