"""What the profile allows."""

from typing import Any

import pytest
from tests.operator.fake_cluster import body, config, spec

from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.policy import Refusal, refusals


def found(profile: Any = None, **changes: Any) -> list[Refusal]:
    video = Video.of(body(spec(**changes)))
    assert video.spec is not None, video.invalid
    profiles = config(profile=profile or {}).profiles
    return list(refusals(video, video.spec, profiles["default"], profiles.values()))


def refused(profile: Any = None, **changes: Any) -> list[str]:
    return [refusal.field for refusal in found(profile, **changes)]


def messages(profile: Any = None, **changes: Any) -> list[str]:
    return [refusal.message for refusal in found(profile, **changes)]


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
        {"secrets": [{"name": "x", "hosts": ["e.com"]}]},
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
    ({"output": {"s3": {"prefix": "films"}}}, "spec.output.s3.prefix", {"outputPrefixes": ["films"]}),
    (
        {"output": {"s3": {"prefix": "/films/ns/a/"}, "name": "{name}"}},
        "spec.output.s3.prefix",
        {"outputPrefixes": ["films/"]},
    ),
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


WORK_ON_A_VOLUME = [
    ".work/ns/hello-11111111/r/picture.png",
    "tv/.work/ns/chunks/k/0.mp4",
    "/.work/x",
    "a//.work//x",
    "./.work/x",
    "%2ework/x",
    ".%77ork/x",
    ".WORK/x",
    "\uff0ework/x",
    "%EF%BC%8Ework/x",
    ".wo\u180brk/x",
    ".wo\u200drk/x",
    "a%2F.work/x",
]


@pytest.mark.parametrize("path", WORK_ON_A_VOLUME)
def test_work_on_a_volume_is_no_input(path: str) -> None:
    """The store's claim may be listed for inputs; a neighbour's prepared picture is still none."""
    allow = {"allow": {"claims": ["*"]}}
    assert refused(allow, source={"image": {"uri": f"pvc://media/{path}"}}) == ["spec.source.image.uri"]
    assert refused(allow, render={"loras": [{"uri": f"pvc://media/{path}"}]}) == ["spec.render.loras[0].uri"]


@pytest.mark.parametrize("path", ["work/a.png", ".works/a.png", "a.work/b.png", ".hidden/a.png", "ns/hello.mp4"])
def test_everything_else_on_it_is(path: str) -> None:
    assert refused({"allow": {"claims": ["media"]}}, source={"image": {"uri": f"pvc://media/{path}"}}) == []


@pytest.mark.parametrize("prefix", ["filmsx", "films/../other", "other", "films/a"])
def test_a_prefix_is_compared_by_whole_folders(prefix: Any) -> None:
    assert refused({"allow": {"outputPrefixes": ["films"]}}, output={"s3": {"prefix": prefix}})


def test_a_prefix_that_leads_into_the_namespaces_own_folder_needs_no_permission() -> None:
    assert refused(output={"s3": {"prefix": "ns/films"}}) == []


def test_the_namespaces_results_and_what_the_profile_lists_may_be_read_from_the_stores_bucket() -> None:
    listed = {"allow": {"inputBuckets": ["media/inputs/", "media/by/{namespace}/", "other"]}}
    for key in ("ns/a.wav", "inputs/deep/a.wav", "by/ns/a.wav"):
        assert refused(listed, speech=speech(uri=f"s3://media/{key}")) == []
    assert refused(listed, speech=speech(uri="s3://other/any/a.wav")) == []
    for key in ("a.wav", "other-ns/a.wav", "inputsx/a.wav", "inputs", "by/other/a.wav", "nsx/a.wav"):
        assert refused(listed, speech=speech(uri=f"s3://media/{key}")) == ["spec.speech.speakers[0].audio.uri"]


@pytest.mark.parametrize(
    "key",
    [
        ".work/other/hello-1/r/plan.json",
        "ns/.work/x",
        "./ns/a.wav",
        "ns/./a.wav",
        "ns//a.wav",
        "/ns/a.wav",
        "ns/a.wav/",
        "",
        "ns/\uff0ework/x",
        "ns/\\..\\.work",
        "ns/\u200b.work/x",
        "ns/a\tb",
    ],
)
@pytest.mark.parametrize("places", [[], ["media"], ["media/ns/"], ["*"]])
def test_work_in_progress_is_no_input_whatever_the_profile_allows(key: str, places: list[str]) -> None:
    allow = {"allow": {"inputBuckets": places}}
    assert refused(allow, speech=speech(uri=f"s3://media/{key}")) == ["spec.speech.speakers[0].audio.uri"]


def test_a_refused_place_says_what_the_administrator_can_do() -> None:
    (message,) = messages(speech=speech(uri="s3://other/a.wav"))
    assert message == (
        "the profile allows s3:// inputs from s3://media/ns/; "
        "the administrator can list a place of bucket 'other' in the profile's allow.inputBuckets"
    )


def test_an_unknown_store_and_a_scheme_that_is_not_allowed_are_refused() -> None:
    assert "spec.output.store" in refused(output={"store": "x"})
    assert refused({"network": {"schemes": ["s3"]}}, speech=speech(uri="s3://media/ns/a")) == ["spec.source.image.uri"]


def test_a_profile_can_allow_some_engines_only() -> None:
    assert refused({"engines": ["infinitetalk"]}, engine="preview") == ["spec.engine"]


def test_a_result_on_a_volume_of_the_namespace_may_have_any_name() -> None:
    assert refused({"allow": {"claims": ["c"]}}, output={"name": "films/{name}", "pvc": {"claim": "c"}}) == []
