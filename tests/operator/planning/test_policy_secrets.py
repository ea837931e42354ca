"""Secrets go to the hosts that the administrator has bound them to, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.operator.fake_cluster import body, config, spec

from talkingvideo_api.effective import resolve
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.builders.stage_input import build_stage_input
from talkingvideo_operator.planning.policy import Refusal, refusals

BOUND = [{"name": "auth", "hosts": ["store.example.com", "*.cdn.example.com"]}, "plain"]
FIELD = "spec.source.image.headersSecretName"


def found(uri: str, secret: str, secrets: Any) -> list[Refusal]:
    image = {"uri": uri, "headersSecretName": secret}
    video = Video.of(body(spec(source={"image": image})))
    assert video.spec is not None, video.invalid
    profile = config(profile={"allow": {"secrets": secrets}}).profiles["default"]
    return list(refusals(video, video.spec, profile))


@pytest.mark.parametrize(
    "uri",
    [
        "https://store.example.com/a.png",
        "https://STORE.example.com:8443/a.png?x=1",
        "https://store.example.com./a",
        "https://a.cdn.example.com/",
    ],
)
def test_a_secret_may_be_sent_to_its_hosts(uri: str) -> None:
    assert found(uri, "auth", BOUND) == []


@pytest.mark.parametrize(
    ("uri", "field"),
    [
        ("https://evil.example/a.png", FIELD),
        ("https://store.example.com.evil.example/a.png", FIELD),
        ("https://cdn.example.com/a.png", FIELD),
        ("https://evil.example/store.example.com", FIELD),
        ("https://evil.example?store.example.com/", FIELD),
        ("https://evil.example#@store.example.com/", FIELD),
        ("https://evil.example\\.store.example.com/", "spec.source.image.uri"),
        ("https://store.example.com%2eevil.example/", "spec.source.image.uri"),
        ("https://store.example.com\t.evil.example/", "spec.source.image.uri"),
        ("https://store\u3002example.com/", "spec.source.image.uri"),
        ("https://[::1]/a.png", "spec.source.image.uri"),
        ("https:///store.example.com/", "spec.source.image.uri"),
    ],
)
def test_a_secret_may_be_sent_nowhere_else(uri: str, field: str) -> None:
    assert [refusal.field for refusal in found(uri, "auth", BOUND)] == [field]


def test_a_plain_name_is_for_pulling_images_and_the_refusal_says_what_to_add() -> None:
    (refusal,) = found("https://store.example.com/a.png", "plain", BOUND)
    assert refusal.field == FIELD
    assert refusal.message.endswith("allow.secrets: [{name: plain, hosts: [HOST]}]")
    pulled = spec(overrides={"imagePullSecrets": ["plain", "auth"]})
    video = Video.of(body(pulled))
    assert video.spec is not None
    profile = config(profile={"allow": {"secrets": BOUND, "overrides": ["imagePullSecrets"]}}).profiles["default"]
    assert not list(refusals(video, video.spec, profile))


@pytest.mark.parametrize(
    ("secrets", "allowed"),
    [
        (["*"], False),
        ([{"name": "*", "hosts": ["store.example.com"]}], True),
        ([{"name": "auth", "hosts": ["*"]}], True),
        (["auth", {"name": "auth", "hosts": ["store.example.com"]}], True),
        ([{"name": "other", "hosts": ["*"]}], False),
        ([], False),
    ],
)
def test_names_and_hosts_are_bound_to_each_other(secrets: Any, allowed: bool) -> None:
    assert (not found("https://store.example.com/a.png", "auth", secrets)) is allowed


@pytest.mark.parametrize("host", ["", "*.", "https://a.example", "a.example/x", "a.*.example", "*a.example", "a b"])
def test_a_pattern_that_matches_no_host_as_it_was_meant_is_refused_at_start(host: str) -> None:
    with pytest.raises(ValidationError, match=r"must be the name of a host"):
        config(profile={"allow": {"secrets": [{"name": "auth", "hosts": [host]}]}})


def test_the_stage_input_carries_the_hosts_of_the_secrets_that_it_names() -> None:
    image = {"uri": "https://store.example.com/a.png", "headersSecretName": "auth"}
    video = Video.of(body(spec(source={"image": image})))
    assert video.spec is not None
    profile = config(profile={"allow": {"secrets": BOUND}}).profiles["default"]
    effective = resolve(video.spec, profile, profile_name="default", uid="u", revision="r")
    made = build_stage_input(video, video.spec, effective, profile)
    assert made.secret_hosts == {"auth": ("store.example.com", "*.cdn.example.com")}
