"""``/api/generate`` and its WebSocket, as the service's documents and page have them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.gateway.serving import VIDEO, ServedGateway
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from talkingvideo_api.errors import ErrorCode
from talkingvideo_gateway.identity.caller import CallerLimits
from talkingvideo_gateway.settings import GatewayConfig

FILES = {"image": ("test_image.jpg", b"a picture"), "audio": ("test_audio.wav", b"a recording")}
KEYS = {"request_id", "status", "message", "timestamp", "position_in_queue", "estimated_time", "result_url"}


def created(http: httpx.Client) -> str:
    answer = http.post("/api/generate", files=FILES)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["request_id"])


@pytest.fixture
def socket(gateway: ServedGateway) -> Iterator[ClientConnection]:
    with connect(f"{gateway.url.replace('http', 'ws')}/ws") as connection:
        yield connection


def received(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=10))
    return message


def test_bytes_on_the_websocket_end_it_in_words(socket: ClientConnection, caplog: pytest.LogCaptureFixture) -> None:
    received(socket)
    socket.send(b"bytes")

    with pytest.raises(ConnectionClosed) as closed:
        socket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1003
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_request_is_queued_with_all_keys(http: httpx.Client) -> None:
    answer = http.post("/api/generate", files=FILES)

    assert answer.status_code == 200
    assert answer.json().keys() == KEYS
    assert answer.json()["status"] == "queued"
    assert answer.json()["message"] == "Request added to queue"


def test_the_service_s_four_steps_are_the_turbo_preset(http: httpx.Client, gateway: ServedGateway) -> None:
    spec = gateway.document(created(http))["spec"]

    assert (spec["render"], spec["video"]) == ({"preset": "turbo"}, {"resolution": "480p"})


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ("render", "processing", "Starting video generation..."),
        ("succeed", "completed", "Video generation completed!"),
        ("fail", "failed", "Error: It broke."),
        ("cancelled", "failed", "Cancelled"),
    ],
)
def test_states_have_the_service_s_words(
    http: httpx.Client, gateway: ServedGateway, change: str, status: str, message: str
) -> None:
    request_id = created(http)
    getattr(gateway, change)(request_id)
    answer = http.get(f"/api/status/{request_id}").json()

    assert (answer["status"], answer["message"]) == (status, message)
    assert answer["result_url"] == (f"/api/result/{request_id}" if status == "completed" else None)


def test_result_is_a_file_with_the_service_s_name(http: httpx.Client, gateway: ServedGateway) -> None:
    request_id = created(http)
    gateway.succeed(request_id)
    answer = http.get(f"/api/result/{request_id}")

    assert (answer.content, answer.headers["content-type"]) == (VIDEO, "video/mp4")
    assert f'filename="infinitetalk_{request_id}.mp4"' in answer.headers["content-disposition"]


def test_a_part_of_the_result_can_be_requested(http: httpx.Client, gateway: ServedGateway) -> None:
    request_id = created(http)
    gateway.succeed(request_id)
    answer = http.get(f"/api/result/{request_id}", headers={"Range": "bytes=4-7"})

    assert (answer.status_code, answer.content) == (206, VIDEO[4:8])
    assert answer.headers["content-range"] == f"bytes 4-7/{len(VIDEO)}"


def test_queue_lists_those_that_wait_before_those_that_are_made(http: httpx.Client, gateway: ServedGateway) -> None:
    running, waiting, done = (created(http) for _ in range(3))
    gateway.render(running)
    gateway.succeed(done)
    answer = http.get("/api/queue").json()

    assert [each["request_id"] for each in answer.pop("requests")] == [waiting, running]
    assert answer == {"queue_size": 1, "processing_count": 1, "max_queue_size": 20, "max_concurrent": 3}


def test_deleting_removes_the_file(http: httpx.Client, gateway: ServedGateway) -> None:
    request_id = created(http)
    gateway.succeed(request_id)

    assert http.delete(f"/api/result/{request_id}").json() == {
        "message": "Video and associated files deleted successfully"
    }
    assert http.get(f"/api/status/{request_id}").status_code == 404
    assert not list((gateway.folder / "results").rglob("*.mp4"))


@pytest.mark.parametrize(
    ("method", "path", "detail"),
    [
        ("GET", "/api/status/unknown", "Request not found"),
        ("GET", "/api/result/unknown", "Video not ready or request not found"),
        ("DELETE", "/api/result/unknown", "Video not ready or request not found"),
    ],
)
def test_unknown_requests_are_not_found(http: httpx.Client, method: str, path: str, detail: str) -> None:
    answer = http.request(method, path)

    assert (answer.status_code, answer.json()) == (404, {"detail": detail})


def test_a_result_that_is_not_ready_is_not_found(http: httpx.Client) -> None:
    answer = http.get(f"/api/result/{created(http)}")

    assert (answer.status_code, answer.json()["detail"]) == (404, "Video not ready or request not found")


def test_a_missing_part_is_answered_as_fastapi_does(http: httpx.Client) -> None:
    answer = http.post("/api/generate", files={"audio": FILES["audio"]})

    assert answer.status_code == 422
    assert answer.json()["detail"] == [
        {"type": "missing", "loc": ["body", "image"], "msg": "Field required", "input": None}
    ]


@pytest.mark.parametrize(("part", "name"), [("image", "a.svg"), ("image", "a"), ("audio", "a.txt")])
def test_files_of_other_types_are_refused(http: httpx.Client, part: str, name: str) -> None:
    answer = http.post("/api/generate", files=FILES | {part: (name, b"content")})

    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"Invalid {part} file type. Supported: ['.")


class TestLimits:
    @pytest.fixture
    def config(self) -> GatewayConfig:
        return GatewayConfig(limits=CallerLimits(picture_megabytes=0.00001, queue=1, at_once=1))

    def test_a_full_queue_says_when_to_come_back(self, http: httpx.Client) -> None:
        created(http)
        created(http)
        answer = http.post("/api/generate", files=FILES)

        assert (answer.status_code, answer.json()) == (429, {"detail": "Queue is full. Please try again later."})
        assert int(answer.headers["retry-after"]) > 0

    def test_a_picture_above_the_limit_is_too_large(self, http: httpx.Client, gateway: ServedGateway) -> None:
        answer = http.post("/api/generate", files=FILES | {"image": ("a.png", bytes(11))})

        assert answer.status_code == 413
        assert answer.json()["detail"] == "image: It has 11 bytes; at most 1e-05 MB are allowed."
        assert not gateway.videos()


def test_socket_begins_with_the_queue_and_answers_texts(socket: ClientConnection) -> None:
    assert received(socket)["type"] == "queue_update"
    socket.send('{"type": "ping"}')

    assert received(socket) == {"type": "pong", "data": '{"type": "ping"}'}


def test_socket_tells_of_each_step(socket: ClientConnection, http: httpx.Client, gateway: ServedGateway) -> None:
    received(socket)
    request_id = created(http)
    messages = [received(socket), received(socket)]
    gateway.render(request_id)
    messages += [received(socket), received(socket)]
    gateway.succeed(request_id)
    messages += [received(socket), received(socket)]

    assert [message["type"] for message in messages] == ["status_update", "queue_update"] * 3
    statuses = [message["data"]["status"] for message in messages if message["type"] == "status_update"]
    assert statuses == ["queued", "processing", "completed"]
    assert messages[-2]["data"]["result_url"] == f"/api/result/{request_id}"


def test_socket_tells_why_a_request_has_failed(
    socket: ClientConnection, http: httpx.Client, gateway: ServedGateway
) -> None:
    received(socket)
    request_id = created(http)
    gateway.fail(request_id, ErrorCode.OOM, "No memory is left.")
    messages = [received(socket) for _ in range(4)]

    assert messages[2]["data"]["message"] == "Error: No memory is left."
