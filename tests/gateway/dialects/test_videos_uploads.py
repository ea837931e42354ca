"""``/v1/uploads``: files in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.identity.caller import Caller, CallerLimits
from talkingvideo_gateway.settings import GatewayConfig

CONTENT = bytes(range(256)) * 10
SPEECH = {"speech": {"speakers": [{"text": "Hello."}]}}


def announced(http: httpx.Client, size: int = len(CONTENT)) -> str:
    answer = http.post("/v1/uploads", json={"bytes": size, "filename": "a.png", "purpose": "user_data"})
    assert answer.status_code == 200, answer.text
    return f"/v1/uploads/{answer.json()['id']}"


def uploaded(http: httpx.Client, content: bytes = CONTENT) -> str:
    upload = announced(http, len(content))
    http.put(f"{upload}/parts/1", content=content)
    return str(http.post(f"{upload}/complete").json()["file"]["id"])


def stored(gateway: ServedGateway) -> list[bytes]:
    return [path.read_bytes() for path in (gateway.folder / "uploads").rglob("*") if path.is_file()]


def test_openai_s_package_uploads_in_parts(gateway: ServedGateway) -> None:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="nobody-asks", max_retries=0) as client:
        upload = client.uploads.upload_file_chunked(
            file=CONTENT,
            filename="a.png",
            bytes=len(CONTENT),
            mime_type="image/png",
            purpose="user_data",
            part_size=999,
        )
        assert upload.status == "completed"
        assert upload.file is not None
        # The package takes input_reference for a file, whatever its types say.
        reference = {"input_reference": {"file_id": upload.file.id}}
        client.post("/videos", body={"talkingvideo": SPEECH} | reference, cast_to=object)

    (made,) = gateway.videos()
    uri = gateway.document(made.name)["spec"]["source"]["image"]["uri"]
    assert Path(uri.removeprefix("file://")).read_bytes() == CONTENT


def test_numbered_parts_come_in_any_order_and_again(http: httpx.Client, gateway: ServedGateway) -> None:
    upload = announced(http)
    http.put(f"{upload}/parts/2", content=CONTENT[1000:])
    http.put(f"{upload}/parts/1", content=b"a connection that broke")
    assert [part["bytes"] for part in http.get(upload).json()["parts"]] == [23, len(CONTENT) - 1000]
    http.put(f"{upload}/parts/1", content=CONTENT[:1000])
    file = http.post(f"{upload}/complete").json()["file"]

    assert file["bytes"] == len(CONTENT)
    assert CONTENT in stored(gateway)
    assert CONTENT[:1000] not in stored(gateway)


def test_completing_twice_is_the_same(http: httpx.Client) -> None:
    upload = announced(http)
    http.put(f"{upload}/parts/1", content=CONTENT)

    first, second = (http.post(f"{upload}/complete").json()["file"] for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", ["audio_reference", "talkingvideo"])
def test_a_file_is_named_by_a_reference_or_in_the_spec(http: httpx.Client, gateway: ServedGateway, name: str) -> None:
    file_id = uploaded(http)
    speech = {"speech": {"speakers": [{"audio": {"upload": file_id}}]}}
    body: dict[str, Any] = {"input_reference": {"image_url": "https://example.com/a.png"}}
    body[name] = {"file_id": file_id} if name == "audio_reference" else speech
    answer = http.post("/v1/videos", json=body)

    assert answer.status_code == 200, answer.text


def test_a_file_of_another_caller_is_not_there(tmp_path: Path) -> None:
    class Named:
        async def authenticate(self, connection: Any) -> Caller:
            return Caller(connection.headers["x-caller"], "default")

    with served_gateway(tmp_path, authenticator=Named()) as gateway:
        mine, theirs = (gateway.client(headers={"x-caller": name}) for name in ("me", "they"))
        with mine, theirs:
            upload = announced(mine)
            mine.put(f"{upload}/parts/1", content=CONTENT)
            answers = [
                theirs.get(upload),
                theirs.put(f"{upload}/parts/1", content=b"x"),
                theirs.post(f"{upload}/complete"),
                theirs.post(f"{upload}/cancel"),
            ]
            file_id = mine.post(f"{upload}/complete").json()["file"]["id"]
            body = {"input_reference": {"file_id": file_id}, "talkingvideo": SPEECH}
            used = theirs.post("/v1/videos", json=body)
            assert mine.post("/v1/videos", json=body).status_code == 200

    assert {answer.status_code for answer in answers} == {404}
    assert used.status_code == 400


def test_a_cancelled_upload_leaves_nothing(http: httpx.Client, gateway: ServedGateway) -> None:
    upload = announced(http)
    http.put(f"{upload}/parts/1", content=CONTENT)
    assert http.post(f"{upload}/cancel").json()["status"] == "cancelled"

    assert stored(gateway) == []
    assert http.get(upload).status_code == 404


def test_missing_bytes_are_told(http: httpx.Client) -> None:
    upload = announced(http)
    http.put(f"{upload}/parts/1", content=CONTENT[:10])
    answer = http.post(f"{upload}/complete")

    assert answer.status_code == 400
    assert "The parts have 10 bytes together; 2,560 were announced." in answer.json()["detail"]


def test_more_than_was_announced_is_refused(http: httpx.Client) -> None:
    upload = announced(http, 10)

    assert http.put(f"{upload}/parts/1", content=CONTENT).status_code == 413


def test_limits_of_a_video_s_files_apply(tmp_path: Path) -> None:
    limits = CallerLimits(picture_megabytes=0.001, sound_megabytes=0.01)
    with served_gateway(tmp_path, GatewayConfig(limits=limits)) as gateway, gateway.client() as http:
        assert http.post("/v1/uploads", json={"bytes": 20_000}).status_code == 413
        body = {"input_reference": {"file_id": uploaded(http)}, "talkingvideo": SPEECH}
        assert http.post("/v1/videos", json=body).status_code == 413


def test_uploads_that_nobody_completes_are_limited(tmp_path: Path) -> None:
    limits = CallerLimits(queue=1, at_once=1)
    with served_gateway(tmp_path, GatewayConfig(limits=limits)) as gateway, gateway.client() as http:
        for _ in range(2):
            announced(http)
        answer = http.post("/v1/uploads", json={"bytes": 10})

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
