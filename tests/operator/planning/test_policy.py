"""What the profile allows."""

from typing import Any

import pytest
from tests.operator.fake_cluster import body, config, spec

from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.policy import refusals


def refused(profile: Any = None, **changes: Any) -> Any:
    video = Video.of(body(spec(**changes)))
    assert video.spec is not None, video.invalid
    return [r.field for r in refusals(video.spec, config(profile=profile or {}).profiles["default"])]


def speech(**audio: Any) -> Any:
    return {"speakers": [{"audio": audio}]}


CASES = [
    ({"speech": speech(uri="s3://other/a.wav")}, "spec.speech.speakers[0].audio.uri", {"inputBuckets": ["other"]}),
    (
        {"speech": {"speakers": [{"text": "Hi.", "mask": {"uri": "pvc://c/mask.png"}}]}},
        "spec.speech.speakers[0].mask.uri",
        {"claims": ["c"]},
    ),
    ({"source": {"image": {"uri": "pvc://c/a.png"}}}, "spec.source.image.uri", {"claims": ["c"]}),
    (
        {"speech": speech(uri="https://e.com/a", headersSecretName="x")},
        "spec.speech.speakers[0].audio.headersSecretName",
        {"secrets": ["x"]},
    ),
    (
        {"render": {"loras": [{"name": "x"}, {"uri": "s3://other/x.safetensors"}]}},
        "spec.render.loras[1].uri",
        {"inputBuckets": ["other"]},
    ),
    (
        {"render": {"loras": [{"uri": "pvc://c/x.safetensors"}]}},
        "spec.render.loras[0].uri",
        {"claims": ["c"]},
    ),
    ({"output": {"pvc": {"claim": "c"}}}, "spec.output.pvc.claim", {"claims": ["*"]}),
    ({"output": {"name": "films/{name}"}}, "spec.output.name", {"outputNames": ["films/"]}),
    ({"output": {"name": "other-namespace/{name}"}}, "spec.output.name", {"outputNames": ["*"]}),
    ({"output": {"s3": {"bucket": "abc"}}}, "spec.output.s3.bucket", {"outputBuckets": ["abc"]}),
    ({"output": {"s3": {"prefix": "films/a"}}}, "spec.output.s3.prefix", {"outputPrefixes": ["films"]}),
    ({"priority": "high"}, "spec.priority", {"priorityClasses": ["high"]}),
    ({"overrides": {"resources": {}}}, "spec.overrides.resources", {"overrides": ["resources"]}),
    (
        {"overrides": {"imagePullSecrets": ["x"]}},
        "spec.overrides.imagePullSecrets",
        {"overrides": ["imagePullSecrets"], "secrets": ["x"]},
    ),
]


@pytest.mark.parametrize(("changes", "field", "allow"), CASES)
def test_a_value_is_refused_with_its_field_unless_the_profile_allows_it(changes: Any, field: Any, allow: Any) -> None:
    assert refused(**changes)[0] == field
    assert refused({"allow": allow}, **changes) == []


@pytest.mark.parametrize("uri", ["configmap://A_B/key", "configmap://-/a", f"pvc://{'a' * 254}/b", "pvc://a:b/c"])
def test_an_input_from_something_that_cannot_exist_is_refused_and_not_mounted(uri: str) -> None:
    allow = {"allow": {"claims": ["*"]}}
    assert refused(allow, source={"image": {"uri": uri}}) == ["spec.source.image.uri"]


@pytest.mark.parametrize("prefix", ["filmsx", "films/../other", "other"])
def test_a_prefix_is_compared_by_whole_folders(prefix: Any) -> None:
    assert refused({"allow": {"outputPrefixes": ["films"]}}, output={"s3": {"prefix": prefix}})


@pytest.mark.parametrize(
    "name", ["../x", "a/../../b", "/abs", "a//b", "a/", "{uid}", "{name.__class__}", "{0}", "{", "work/x"]
)
def test_names_of_results_cannot_leave_their_folder(name: Any) -> None:
    assert refused({"allow": {"outputNames": ["*"]}}, output={"name": name}) == ["spec.output.name"]


def test_the_stores_own_bucket_may_be_read() -> None:
    assert refused(speech=speech(uri="s3://media/a.wav")) == []


def test_an_unknown_store_and_a_scheme_that_is_not_allowed_are_refused() -> None:
    assert "spec.output.store" in refused(output={"store": "x"})
    assert refused({"network": {"schemes": ["s3"]}}, speech=speech(uri="s3://media/a")) == ["spec.source.image.uri"]


def test_a_profile_can_allow_some_engines_only() -> None:
    assert refused({"engines": ["infinitetalk"]}, engine="preview") == ["spec.engine"]


def test_a_result_on_a_volume_of_the_namespace_may_have_any_name() -> None:
    assert refused({"allow": {"claims": ["c"]}}, output={"name": "films/{name}", "pvc": {"claim": "c"}}) == []
