"""Parts of a video over HTTP, while it is being made."""

from __future__ import annotations

import httpx
from tests.gateway.serving import ServedGateway

PICTURE = {"image": {"uri": "https://example.com/p.jpg"}}


def created(http: httpx.Client) -> str:
    spec = {"source": PICTURE, "speech": {"speakers": [{"text": "Hello."}]}}
    video_id: str = http.post("/v1/videos", json={"talkingvideo": spec}).raise_for_status().json()["id"]
    return video_id


def test_where_parts_cannot_be_read_there_are_none(http: httpx.Client, gateway: ServedGateway) -> None:
    answer = http.get(f"/v1/videos/{created(http)}/parts")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert http.get("/page/facts").json()["has_parts"] is False


def test_the_spec_is_answered_without_what_is_inline(http: httpx.Client) -> None:
    spec = {
        "source": {"image": {"uri": "data:image/png;base64,iVBORw0KGgo="}},
        "speech": {"speakers": [{"text": "Hello."}]},
    }
    answer = http.post("/v1/videos", json={"talkingvideo": spec}).raise_for_status().json()
    assert answer["talkingvideo"]["spec"]["source"] == {"image": {}}
    assert answer["talkingvideo"]["spec"]["speech"]["speakers"] == [{"text": "Hello."}]
