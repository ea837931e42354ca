"""Who gets in, who does not, and what one caller can reach of another: by any path and in each dialect's own words."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from starlette.routing import BaseRoute
from tests.gateway.identity.callers import ALICE, BOB, CAROL, bearer, gateway_with_tokens
from tests.gateway.serving import VIDEO, ServedGateway
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from talkingvideo_gateway.dialects import DIALECTS, generate
from talkingvideo_gateway.dialects.videos import events
from talkingvideo_gateway.errors import ForbiddenError
from talkingvideo_gateway.identity import tokens
from talkingvideo_gateway.identity.caller import Caller, Verb
from talkingvideo_gateway.identity.settings import ProxyHeaders

TINY = base64.b64encode(b"bytes of a file").decode()
JOB = {"image_base64": TINY, "audio_base64": TINY, "width": 384, "height": 576}
UNAUTHENTICATED, FORBIDDEN, MISSING = 401, 403, 404


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ServedGateway]:
    with gateway_with_tokens(tmp_path) as served:
        yield served


@pytest.fixture
def http(gateway: ServedGateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a gateway that no test changes."""
    with gateway_with_tokens(tmp_path_factory.mktemp("gateway")) as served, served.client() as client:
        yield client


def submitted(http: httpx.Client, token: str = ALICE, **changes: Any) -> httpx.Response:
    return http.post("/jobs", json=JOB | changes, headers=bearer(token))


def created(http: httpx.Client, token: str = ALICE) -> str:
    answer = submitted(http, token)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def routes() -> list[tuple[str, str, str]]:
    """Every route that a dialect has, with its method and the dialect's name."""
    return [
        (dialect.name, method, getattr(route, "path", ""))
        for dialect in DIALECTS
        for route in leaves(dialect.router)
        for method in sorted(getattr(route, "methods", None) or ())
    ]


def leaves(router: APIRouter) -> Iterator[BaseRoute]:
    """The routes of a router, and those of the routers in it."""
    for route in router.routes:
        inner = getattr(route, "original_router", None)
        yield from [route] if inner is None else leaves(inner)


@pytest.mark.parametrize("headers", [{}, bearer("wrong-token-000000"), {"Authorization": "Basic YTpi"}], ids=str)
@pytest.mark.parametrize(("dialect", "method", "path"), routes(), ids=str)
def test_without_a_token_every_route_of_a_dialect_refuses_in_its_own_words(
    untouched: httpx.Client, dialect: str, method: str, path: str, headers: dict[str, str]
) -> None:
    where = path.replace("{", "").replace("}", "").replace(":path", "")
    answer = untouched.request(method, where, headers=headers)
    if answer.status_code == 200 and "health" in path:
        assert ALICE not in answer.text
        return
    assert answer.status_code == UNAUTHENTICATED, (path, answer.text)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    expected = next(each for each in DIALECTS if each.name == dialect)
    if "json" in answer.headers.get("content-type", ""):
        from talkingvideo_gateway.errors import UnauthenticatedError

        own = expected.error(UnauthenticatedError("x"))
        assert answer.headers["content-type"].partition(";")[0] == str(own.headers["content-type"]).partition(";")[0]


def bodies() -> list[tuple[str, str]]:
    """Every route that reads a body, with its method."""
    return [(method, path) for _, method, path in routes() if method in ("POST", "PUT") and "status" not in path]


@pytest.mark.parametrize(("method", "path"), bodies(), ids=str)
def test_nothing_of_a_body_is_read_before_its_sender_is_known(untouched: httpx.Client, method: str, path: str) -> None:
    where = path.replace("{", "").replace("}", "")
    with socket.create_connection((untouched.base_url.host, untouched.base_url.port), timeout=10) as connection:
        head = f"{method} {where} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 90000000"
        connection.sendall(f"{head}\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 401 ")


def test_who_logs_in_sends_no_more_than_a_token(untouched: httpx.Client) -> None:
    assert untouched.post("/session", json={"token": "x" * 100_000}).status_code == 413


KEYS = [
    ({"Authorization": f"Bearer {ALICE}"}, 200),
    ({"Authorization": f"bearer  {ALICE}"}, 200),
    ({"authorization": ALICE}, 200),
    ({"Authorization": f"Token {ALICE}"}, UNAUTHENTICATED),
    ({"Authorization": f"Bearer {ALICE} {BOB}"}, UNAUTHENTICATED),
    ({"X-Forwarded-User": "alice"}, UNAUTHENTICATED),
    ({"Cookie": f"talkingvideo={ALICE}"}, UNAUTHENTICATED),
    ({"Cookie": "talkingvideo=x.y.z"}, UNAUTHENTICATED),
]


@pytest.mark.parametrize(("headers", "status"), KEYS, ids=str)
def test_a_token_is_taken_from_the_header_with_or_without_bearer(
    untouched: httpx.Client, headers: dict[str, str], status: int
) -> None:
    assert untouched.get("/session", headers=headers).status_code == status


def test_two_authorization_headers_are_refused(http: httpx.Client) -> None:
    headers = [("Authorization", f"Bearer {ALICE}"), ("Authorization", f"Bearer {BOB}")]
    assert http.get("/session", headers=headers).status_code == UNAUTHENTICATED


def test_a_videos_caller_profile_and_namespace_are_those_of_its_token(
    http: httpx.Client, gateway: ServedGateway
) -> None:
    names = {token: created(http, token) for token in (ALICE, BOB, CAROL)}
    found = {
        token: (
            gateway.video(name).caller,
            gateway.video(name).namespace,
            gateway.document(name)["spec"].get("profile"),
        )
        for token, name in names.items()
    }
    assert found == {
        ALICE: ("alice", "films", None),
        BOB: ("bob", "films", "fast"),
        CAROL: ("carol", "clips", None),
    }


@pytest.mark.parametrize("stranger", [BOB, CAROL], ids=["same-namespace", "another-namespace"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/{id}"),
        ("GET", "/api/status/{id}"),
        ("GET", "/api/result/{id}"),
        ("DELETE", "/api/result/{id}"),
        ("GET", "/output/{id}.mp4"),
        ("GET", "/v1/videos/{id}"),
        ("GET", "/v1/videos/{id}/content"),
        ("DELETE", "/v1/videos/{id}"),
        ("GET", "/v2/talkingvideo/status/{id}"),
        ("GET", "/v2/talkingvideo/stream/{id}"),
        ("POST", "/v2/talkingvideo/cancel/{id}"),
        ("POST", "/v2/talkingvideo/retry/{id}"),
        ("GET", "/jobs/../jobs/{id}"),
        ("GET", "/jobs/%2e%2e%2fjobs%2f{id}"),
        ("GET", "/jobs/films%2f{id}"),
    ],
)
def test_anothers_video_does_not_exist_whatever_asks_for_it(
    http: httpx.Client, gateway: ServedGateway, method: str, path: str, stranger: str
) -> None:
    name = created(http)
    gateway.succeed(name)
    answer = http.request(method, path.format(id=name), headers=bearer(stranger))
    assert answer.status_code == MISSING, answer.text
    assert VIDEO not in answer.content
    assert gateway.video(name).caller == "alice"


def test_anothers_video_cannot_be_deleted_and_the_answer_is_that_for_one_that_never_was(
    http: httpx.Client, gateway: ServedGateway
) -> None:
    name = created(http)
    answers = [http.post(f"/jobs/{each}/video/delete", headers=bearer(BOB)) for each in (name, "job-1-never")]
    assert [(each.status_code, each.content) for each in answers] == [(204, b"")] * 2
    assert gateway.video(name).caller == "alice"


def test_lists_show_ones_own_only(http: httpx.Client) -> None:
    created(http)
    assert http.get("/api/queue", headers=bearer(BOB)).json()["queue_size"] == 0
    assert http.get("/api/queue", headers=bearer(ALICE)).json()["queue_size"] == 1


def test_callers_with_one_idempotency_key_make_two_videos(gateway: ServedGateway) -> None:
    from talkingvideo_gateway.identity.caller import Caller
    from talkingvideo_gateway.videos.request import VideoRequest
    from talkingvideo_gateway.videos.service import _name

    request = VideoRequest("jobs", {}, idempotency_key="1")
    assert _name(Caller("alice", "films"), request) != _name(Caller("bob", "films"), request)


def test_a_link_is_for_one_video_and_cannot_be_changed(http: httpx.Client, gateway: ServedGateway) -> None:
    answer = submitted(http, push_to_s3=True)
    name = answer.json()["id"]
    gateway.succeed(name)
    link = http.get(f"/jobs/{name}", headers=bearer(ALICE)).json()["video_url"]
    assert httpx.get(link).content == VIDEO
    path, _, token = link.rpartition("/")
    for forged in (token[:-1], f"{token}A", token[1:], "x", token.swapcase()):
        assert httpx.get(f"{path}/{forged}").status_code == MISSING
    http.post(f"/jobs/{name}/video/delete", headers=bearer(ALICE))
    assert httpx.get(link).status_code == MISSING


LIMITS = [
    # bob: pictures of 1 kB, one waiting and one being made
    ({"image_base64": base64.b64encode(b"x" * 2_000).decode()}, 413, None),
]


@pytest.mark.parametrize(("changes", "status", "retry_after"), LIMITS)
def test_a_callers_own_limits_hold(
    http: httpx.Client, changes: dict[str, Any], status: int, retry_after: str | None
) -> None:
    assert submitted(http, BOB, **changes).status_code == status
    assert submitted(http, ALICE, **changes).status_code == 202


def test_a_full_queue_is_the_callers_own_and_says_when_to_come_back(http: httpx.Client) -> None:
    assert [submitted(http, BOB).status_code for _ in range(3)] == [202, 202, 429]
    refused = submitted(http, BOB)
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.json()["code"] == "QUEUE_FULL"
    assert submitted(http, ALICE).status_code == 202


def test_limits_hold_for_requests_that_come_all_at_once(http: httpx.Client) -> None:
    audio = base64.b64encode(bytes(1_000_000)).decode()
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: submitted(http, BOB, audio_base64=audio).status_code, range(10)))
    assert sorted(answers) == [202, 202, *[429] * 8]


@pytest.mark.parametrize("token", [None, "wrong-token-000000"])
def test_a_websocket_needs_a_token(gateway: ServedGateway, token: str | None) -> None:
    headers = {} if token is None else bearer(token)
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{gateway.url.replace('http', 'ws')}/ws", additional_headers=headers)
    assert refused.value.response.status_code in (UNAUTHENTICATED, FORBIDDEN)


LOOPBACK = {"addresses": ["127.0.0.0/8"]}
PROXIES: list[tuple[dict[str, Any] | None, dict[str, str], int]] = [
    (None, {"X-Forwarded-User": "dora"}, UNAUTHENTICATED),
    (LOOPBACK, {"X-Forwarded-User": "dora"}, 200),
    (LOOPBACK, {"X-Forwarded-User": ""}, UNAUTHENTICATED),
    (LOOPBACK, {"X-Other": "dora"}, UNAUTHENTICATED),
    (LOOPBACK, {"X-Forwarded-User": "dora", "Authorization": "Bearer wrong-token-000000"}, UNAUTHENTICATED),
    ({"addresses": ["10.0.0.0/8"]}, {"X-Forwarded-User": "dora"}, UNAUTHENTICATED),
    ({"addresses": ["10.0.0.0/8"]}, {"X-Forwarded-User": "dora", "X-Forwarded-For": "10.0.0.1"}, UNAUTHENTICATED),
    ({**LOOPBACK, "userHeader": "X-Auth"}, {"X-Forwarded-User": "dora"}, UNAUTHENTICATED),
    ({**LOOPBACK, "userHeader": "X-Auth"}, {"X-Auth": "dora"}, 200),
]


@pytest.mark.parametrize(("proxy", "headers", "status"), PROXIES, ids=str)
def test_a_proxys_header_counts_from_the_proxys_address_only(
    tmp_path: Path, proxy: dict[str, Any] | None, headers: dict[str, str], status: int
) -> None:
    settings = None if proxy is None else ProxyHeaders.model_validate(proxy)
    with gateway_with_tokens(tmp_path, settings) as served, served.client() as http:
        answer = http.get("/session", headers=headers)
        assert answer.status_code == status
        if status == 200:
            assert answer.json()["caller"].startswith("proxy-dora-")


class AllButWatching:
    """Rights of somebody who may look, and may not watch."""

    async def require(self, caller: Caller, verb: Verb) -> None:
        """See `Rights`."""
        if verb is Verb.WATCH:
            raise ForbiddenError(f"{caller.name} may not watch.")


def test_whoever_may_not_watch_is_told_so_before_a_stream_begins(tmp_path: Path) -> None:
    with gateway_with_tokens(tmp_path, rights=AllButWatching()) as gateway, gateway.client() as http:
        video = created(http)
        for path in ("/v1/events", f"/v1/videos/{video}/events"):
            assert http.get(path, headers=bearer(ALICE)).status_code == FORBIDDEN
        with pytest.raises(InvalidStatus) as refused:
            connect(f"{gateway.url.replace('http', 'ws')}/ws", additional_headers=bearer(ALICE))
        assert refused.value.response.status_code == FORBIDDEN


def test_what_is_open_ends_when_its_token_is_withdrawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(events, "PING_SECONDS", 0.05)
    monkeypatch.setattr(generate, "ASK_SECONDS", 0.05)
    with gateway_with_tokens(tmp_path) as gateway, gateway.client() as http:
        address = f"{gateway.url.replace('http', 'ws')}/ws"
        with http.stream("GET", "/v1/events", headers=bearer(ALICE)) as stream:
            pieces = stream.iter_raw()
            with connect(address, additional_headers=bearer(ALICE)) as socket_of_alice:
                assert next(pieces)
                assert socket_of_alice.recv(timeout=10)
                (tmp_path / "tokens" / "alice").unlink()
                with pytest.raises(ConnectionClosed) as closed:
                    socket_of_alice.recv(timeout=10)
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 1008
                assert [piece for piece in pieces if b"data:" in piece] == []
