"""Rules of the spec, as ``talkingvideo run`` enforces them; the API server's own are tested on a control plane."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import SMALLEST, document

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.resource import parse

AUDIO = {"audio": {"uri": "s3://media/a.wav"}}
LEFT = {"left": 0, "top": 0, "width": 0.5, "height": 1}


def turn(speaker: int, start: float, end: float) -> dict[str, float]:
    return {"speaker": speaker, "start": start, "end": end}


ACCEPTED: dict[str, dict[str, Any]] = {
    "turns of two": {"speakers": [AUDIO, {"region": LEFT}], "turns": [turn(0, 0, 1.5), turn(1, 1, 2)]},
    "turns of somebody of whom nothing is said": {"speakers": [AUDIO, {}], "turns": [turn(1, 1, 2)]},
    "turns of one": {"speakers": [{"text": "Hello."}], "turns": [turn(0, 0, 1)]},
    "an at sign after the host": {"speakers": [{"audio": {"uri": "https://host/@me/a.wav?to=b@c"}}]},
    "an at sign in a key": {"speakers": [{"audio": {"uri": "s3://bucket/a@2x.wav"}}]},
    "masks": {"speakers": [{**AUDIO, "mask": {"uri": "s3://media/m.png"}}, {**AUDIO, "region": LEFT}]},
}

REFUSED: list[tuple[str, dict[str, Any], str, str]] = [
    ("no source", {"source": {}}, "spec.source", "exactly one of image and video"),
    (
        "two sources",
        {"source": {"image": {"uri": "s3://b/k"}, "video": {"uri": "s3://b/k"}}},
        "spec.source",
        "exactly one of image and video",
    ),
    ("unknown scheme", {"source": {"image": {"uri": "ftp://a/b"}}}, "spec.source.image", "uri must start with"),
    (
        "long address",
        {"source": {"image": {"uri": "https://" + "a" * 2_100}}},
        "spec.source.image",
        "only data: URIs may be longer than 2048 characters",
    ),
    (
        "headers for s3",
        {"source": {"image": {"uri": "s3://b/k", "headersSecretName": "x"}}},
        "spec.source.image",
        "headersSecretName requires an https:// uri",
    ),
    (
        "a Secret that is a path",
        {"source": {"image": {"uri": "https://a/b", "headersSecretName": "/etc"}}},
        "spec.source.image.headersSecretName",
        "must be a name of a Kubernetes object",
    ),
    (
        "a Secret above its folder",
        {"source": {"image": {"uri": "https://a/b", "headersSecretName": "../pass"}}},
        "spec.source.image.headersSecretName",
        "must be a name of a Kubernetes object",
    ),
    (
        "a Secret with an empty label",
        {"source": {"image": {"uri": "https://a/b", "headersSecretName": "a..b"}}},
        "spec.source.image.headersSecretName",
        "must be a name of a Kubernetes object",
    ),
    (
        "keys in an s3 address",
        {"source": {"image": {"uri": "s3://KEY:SECRET@bucket/key"}}},
        "spec.source.image",
        "must not contain a user name or password",
    ),
    (
        "a password in an https address",
        {"speech": {"speakers": [{"audio": {"uri": "https://user:pa:ss@host?x=1"}}]}},
        "spec.speech.speakers[0].audio",
        "must not contain a user name or password",
    ),
    (
        "a LoRA's address with a password",
        {"render": {"loras": [{"uri": "https://user@host/lora.safetensors"}]}},
        "spec.render.loras[0]",
        "must not contain a user name or password",
    ),
    (
        "a LoRA of no scheme",
        {"render": {"loras": [{"uri": "ftp://a/b.safetensors"}]}},
        "spec.render.loras[0]",
        "a LoRA's uri must start with",
    ),
    (
        "a LoRA inline",
        {"render": {"loras": [{"uri": "data:,x"}]}},
        "spec.render.loras[0]",
        "a LoRA's uri must start with",
    ),
    ("a LoRA elsewhere", {"render": {"loras": [{"name": "../x"}]}}, "spec.render.loras[0].name", "pattern"),
    (
        "a LoRA twice named",
        {"render": {"loras": [{"name": "x", "uri": "s3://b/k"}]}},
        "spec.render.loras[0]",
        "exactly one of uri and name",
    ),
    ("nobody speaks", {"speech": {"speakers": []}}, "spec.speech.speakers", "at least 1 item"),
    ("three speakers", {"speech": {"speakers": [AUDIO] * 3}}, "spec.speech.speakers", "at most 2 items"),
    (
        "audio and text",
        {"speech": {"speakers": [{**AUDIO, "text": "hi"}]}},
        "spec.speech.speakers[0]",
        "exactly one of audio and text",
    ),
    (
        "voice of a recording",
        {"speech": {"speakers": [{**AUDIO, "voice": "en"}]}},
        "spec.speech.speakers[0]",
        "voice requires text",
    ),
    (
        "region outside",
        {"speech": {"speakers": [{**AUDIO, "region": {"left": 0.6, "top": 0, "width": 0.5, "height": 1}}]}},
        "spec.speech.speakers[0].region",
        "left + width must be at most 1",
    ),
    ("neither audio nor text", {"speech": {"speakers": [{}]}}, "spec.speech", "exactly one of audio and text"),
    (
        "one of two is silent",
        {"speech": {"speakers": [AUDIO, {"region": LEFT}]}},
        "spec.speech",
        "exactly one of audio and text",
    ),
    (
        "region and mask",
        {"speech": {"speakers": [{**AUDIO, "region": LEFT, "mask": {"uri": "s3://media/m.png"}}]}},
        "spec.speech.speakers[0]",
        "at most one of region and mask",
    ),
    (
        "mask from nowhere",
        {"speech": {"speakers": [{**AUDIO, "mask": {"uri": "ftp://media/m.png"}}]}},
        "spec.speech.speakers[0].mask",
        "uri must start with",
    ),
    (
        "turns over two recordings",
        {"speech": {"speakers": [AUDIO, AUDIO], "turns": [turn(0, 0, 1)]}},
        "spec.speech",
        "turns divide one recording",
    ),
    (
        "turns over nothing",
        {"speech": {"speakers": [{}, AUDIO], "turns": [turn(0, 0, 1)]}},
        "spec.speech",
        "turns divide one recording",
    ),
    (
        "turn of nobody",
        {"speech": {"speakers": [AUDIO], "turns": [turn(0, 0, 1), turn(1, 1, 2)]}},
        "spec.speech",
        "a speaker that does not exist",
    ),
    (
        "turn of a third",
        {"speech": {"speakers": [AUDIO, {}], "turns": [turn(2, 0, 1)]}},
        "spec.speech.turns[0].speaker",
        "less than or equal to 1",
    ),
    (
        "turn backwards",
        {"speech": {"speakers": [AUDIO, {}], "turns": [turn(0, 2, 1)]}},
        "spec.speech.turns[0]",
        "start must be before end",
    ),
    ("no turn", {"speech": {"speakers": [AUDIO, {}], "turns": []}}, "spec.speech.turns", "at least 1 item"),
    (
        "turns arranged",
        {"speech": {"speakers": [AUDIO, {}], "turns": [turn(0, 0, 1)], "arrangement": "Parallel"}},
        "spec.speech",
        "do not set it together with turns",
    ),
    ("window of 82", {"render": {"windowFrames": 82}}, "spec.render.windowFrames", "4n+1"),
    ("motion over window", {"render": {"windowFrames": 9, "motionFrames": 9}}, "spec.render", "less than windowFrames"),
    ("odd width", {"video": {"width": 641, "height": 480}}, "spec.video.width", "even"),
    ("width alone", {"video": {"width": 640}}, "spec.video", "both width and height"),
    (
        "shape twice",
        {"video": {"width": 640, "height": 480, "aspectRatio": "1:1"}},
        "spec.video",
        "do not set aspectRatio",
    ),
    ("chunks too short", {"chunking": {"targetSeconds": 5}}, "spec.chunking.targetSeconds", "greater than or equal"),
    ("two outputs", {"output": {"s3": {}, "pvc": {"claim": "c"}}}, "spec.output", "at most one of s3 and pvc"),
    ("plain notification", {"notify": {"url": "http://example.com"}}, "spec.notify", "https://"),
    ("unknown field", {"promt": "x"}, "spec.promt", "unknown field; did you mean prompt?"),
]


@pytest.mark.parametrize(
    ("spec", "field", "message"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_a_wrong_spec_is_refused_with_its_field_and_the_remedy(spec: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(StageError) as refusal:
        parse(document(**spec))
    assert refusal.value.code is ErrorCode.INPUT_VALIDATION
    assert refusal.value.field == field
    assert message in refusal.value.message


@pytest.mark.parametrize("speech", ACCEPTED.values(), ids=list(ACCEPTED))
def test_who_speaks_when_and_where_can_be_said(speech: dict[str, Any]) -> None:
    assert parse(document(speech=speech)).spec.speech.to_dict() == speech


def test_the_smallest_object_is_accepted_and_dumped_as_it_was_written() -> None:
    assert parse(SMALLEST).spec.to_dict() == SMALLEST["spec"]


@pytest.mark.parametrize("name", ["../etc/passwd", "Hello", "a/b", "-a", "", "a" * 254])
def test_a_name_that_kubernetes_would_refuse_is_refused(name: str) -> None:
    with pytest.raises(StageError, match=r"metadata\.name"):
        parse({**SMALLEST, "metadata": {"name": name}})
