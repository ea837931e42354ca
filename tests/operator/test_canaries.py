"""No address's query leaves the object and its stage input: not into Jobs, status, events or the log."""

import json
import logging
from typing import Any

import pytest
from tests.operator.fake_cluster import spec
from tests.operator.test_reconciler import Operator

CANARY = "c4n4ryS1gn4ture"


def signed(uri: str) -> dict[str, str]:
    return {"uri": f"{uri}?X-Amz-Signature={CANARY}"}


SPECS: dict[str, dict[str, Any]] = {
    "https": spec(
        source={"image": signed("https://example.com/face.png")},
        speech={
            "speakers": [
                {"audio": signed("https://example.com/a.wav"), "mask": signed("https://example.com/m.png")},
                {"audio": signed("https://example.com/b.wav")},
            ]
        },
        render={"loras": [signed("https://example.com/l.safetensors")]},
    ),
    "fragment": spec(source={"image": {"uri": f"https://example.com/face.png#{CANARY}"}}),
    "bucket": spec(source={"image": signed("s3://elsewhere/face.png")}),
    "claim": spec(source={"image": signed("pvc://elsewhere/face.png")}),
    "data": spec(source={"image": {"uri": f"data:image/png;token={CANARY};base64,AAAA"}}),
    "climbing": spec(source={"image": signed("s3://media/../face.png")}),
    "other scheme": spec(source={"image": signed("ftp://example.com/face.png")}),
    "user": spec(source={"image": {"uri": f"https://me:{CANARY}@example.com/face.png"}}),
    "key": spec(source={"image": {"uri": f"s3://KEY:{CANARY}@media/face.png"}}),
    "too long": spec(source={"image": {"uri": f"https://example.com/?{CANARY}{'x' * 3_000}"}}),
    "no text": spec(source={"image": {"uri": [CANARY]}}),
    "unknown field": spec(source={"image": {"uri": "https://example.com/a", "token": CANARY}}),
}


@pytest.mark.parametrize("engine", ["preview", "infinitetalk"])
@pytest.mark.parametrize("document", SPECS.values(), ids=list(SPECS))
def test_no_canary_leaves_the_object_and_its_stage_input(document: Any, engine: str, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    operator = Operator(document, profile={"engine": engine})
    operator.reconcile()
    written = {key: each for key, each in operator.api.objects.items() if key[0] != "configmaps"}
    video = written["talkingvideos", "hello"]
    shown = json.dumps([{**video, "spec": None}, *(each for key, each in written.items() if key[0] != "talkingvideos")])
    assert video["status"]["phase"]
    assert CANARY not in shown
    assert CANARY not in caplog.text
    while not operator.recorder._pending.empty():
        assert CANARY not in str(operator.recorder._pending.get_nowait()[1])


@pytest.mark.parametrize("allowed", [{"allowedHosts": ["good.test"]}, {"schemes": ["s3"]}, {}])
def test_refusals_of_the_policy_show_none(allowed: Any) -> None:
    operator = Operator(SPECS["https"], profile={"network": allowed, "engine": "infinitetalk"})
    operator.reconcile()
    assert CANARY not in json.dumps(operator.api.objects["talkingvideos", "hello"]["status"])
