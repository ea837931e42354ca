"""What hostile requests get."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from tests.gateway.hostile import CLOSED, HOSTILE, MAX_BODY, Hostile
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.identity.caller import CallerLimits
from talkingvideo_gateway.settings import GatewayConfig

CONFIG = GatewayConfig(
    max_body_megabytes=MAX_BODY / 1_000_000, limits=CallerLimits(picture_megabytes=0.1, sound_megabytes=0.1)
)
FORMS = {
    "problem": ("application/problem+json", {"type", "title", "status", "detail", "code", "error"}),
    "jobs": ("application/json", {"error", "code"}),
    "runpod": ("application/json", {"error"}),
}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedGateway]:
    with served_gateway(tmp_path_factory.mktemp("gateway"), CONFIG) as gateway:
        yield gateway


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_request_is_refused_in_its_dialect_and_leaves_nothing(
    attacked: ServedGateway, hostile: Hostile
) -> None:
    status, media_type, content = sent(attacked, hostile)

    assert status in hostile.statuses, content
    if hostile.form != "server":
        expected, members = FORMS[hostile.form]
        assert media_type == expected
        assert members <= json.loads(content).keys()
    assert attacked.videos() == []
    assert [path for path in (attacked.folder / "uploads").rglob("*") if path.is_file()] == []


def test_there_are_enough_of_them() -> None:
    assert len({hostile.name for hostile in HOSTILE}) == len(HOSTILE) >= 60


def test_a_client_that_goes_away_in_the_middle_leaves_nothing(attacked: ServedGateway) -> None:
    with connected(attacked) as connection:
        connection.sendall(b"POST /v1/videos HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n")
        connection.sendall(b'Content-Length: 1000\r\n\r\n{"prompt":')
    with attacked.client() as client:
        assert client.get("/v1/videos").json()["data"] == []


def sent(gateway: ServedGateway, hostile: Hostile) -> tuple[int, str, bytes]:
    """Status, media type and body of the answer."""
    with connected(gateway) as connection:
        headers = [("Host", hostile.host), *hostile.headers]
        if isinstance(hostile.body, bytes):
            headers.append(("Content-Length", str(len(hostile.body))))
        else:
            headers.append(("Transfer-Encoding", "chunked"))
        lines = [f"{hostile.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers), "", ""]
        # The answer may come, and the connection end, before all has been sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall("\r\n".join(lines).encode("latin-1"))
            if isinstance(hostile.body, bytes):
                connection.sendall(hostile.body)
            else:
                chunk, times = hostile.body
                for _ in range(times):
                    connection.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        answer = http.client.HTTPResponse(connection, method=hostile.target.partition(" ")[0])
        try:
            answer.begin()
        except ConnectionResetError:
            return CLOSED, "", b""
        content = b""
        with suppress(ConnectionResetError):
            content = answer.read()
        return answer.status, answer.headers.get_content_type(), content


def connected(gateway: ServedGateway) -> socket.socket:
    parts = urlsplit(gateway.url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)
