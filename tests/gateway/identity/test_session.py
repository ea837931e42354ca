"""The page's login, and requests that another page sends with somebody's credentials."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from itsdangerous import URLSafeTimedSerializer
from tests.gateway.identity.callers import ALICE, bearer, gateway_with_tokens
from tests.gateway.identity.test_access import JOB
from tests.gateway.serving import LINK_KEY, ServedGateway, served_gateway
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from talkingvideo_gateway.identity import tokens
from talkingvideo_gateway.settings import GatewayConfig

COOKIE = "talkingvideo"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[ServedGateway]:
    with gateway_with_tokens(tmp_path) as served:
        yield served


@pytest.fixture
def page(gateway: ServedGateway) -> Iterator[httpx.Client]:
    """A browser that has logged in, and states its origin."""
    with gateway.client(headers={"Origin": gateway.url}) as client:
        assert client.post("/session", json={"token": f" {ALICE}\n"}).json() == {
            "caller": "alice",
            "namespace": "films",
        }
        yield client


def test_a_login_lets_the_page_work_until_it_logs_out(page: httpx.Client) -> None:
    assert page.get("/session").json()["caller"] == "alice"
    assert page.post("/jobs", json=JOB).status_code == 202
    assert page.delete("/session").status_code == 204
    assert page.get("/session").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(gateway: ServedGateway) -> None:
    answer = httpx.post(f"{gateway.url}/session", json={"token": ALICE})
    attributes = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= attributes
    assert "secure" not in attributes


def test_behind_https_the_cookie_is_for_https_and_for_this_host_alone(tmp_path: Path) -> None:
    with gateway_with_tokens(tmp_path, publicUrl="https://videos.example.com") as served:
        answer = httpx.post(f"{served.url}/session", json={"token": ALICE})
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-talkingvideo=")
        assert "secure" in cookie.lower() and "domain" not in cookie.lower()
        value = cookie.partition(";")[0]
        headers = {"Cookie": value, "Origin": "https://videos.example.com"}
        assert httpx.post(f"{served.url}/jobs", json=JOB, headers=headers).status_code == 202


@pytest.mark.parametrize("token", ["", "wrong-token-000000", "x" * 4_000])
def test_a_wrong_token_opens_no_session(gateway: ServedGateway, token: str) -> None:
    answer = httpx.post(f"{gateway.url}/session", json={"token": token})
    assert answer.status_code in (400, 401)
    assert "set-cookie" not in answer.headers


FORGED = [
    ALICE,
    URLSafeTimedSerializer("another key", salt="session").dumps(ALICE),
    URLSafeTimedSerializer(LINK_KEY, salt="result-link").dumps(ALICE),
    URLSafeTimedSerializer(LINK_KEY, salt="session").dumps([ALICE]),
    URLSafeTimedSerializer(LINK_KEY, salt="session").dumps("wrong-token-000000"),
    "x" * 5_000,
]


@pytest.mark.parametrize("cookie", FORGED)
def test_a_forged_cookie_opens_nothing(gateway: ServedGateway, cookie: str) -> None:
    assert httpx.get(f"{gateway.url}/session", headers={"Cookie": f"{COOKIE}={cookie}"}).status_code == 401


def test_a_session_ends_with_its_token(page: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LOOK_SECONDS", 0)
    (tmp_path / "tokens" / "alice").unlink()
    assert page.get("/session").status_code == 401


FOREIGN = [
    {"Origin": "https://evil.example.com"},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://127.0.0.1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {},
]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/jobs"), ("DELETE", "/api/result/x"), ("POST", "/api/generate")]
)
def test_a_session_does_not_work_for_requests_of_another_page(
    page: httpx.Client, gateway: ServedGateway, method: str, path: str, headers: dict[str, str]
) -> None:
    cookie = f"{COOKIE}={page.cookies[COOKIE]}"
    answer = httpx.request(method, gateway.url + path, json=JOB, headers={"Cookie": cookie, **headers})
    assert answer.status_code in (400, 403, 422)
    assert gateway.videos() == []


@pytest.mark.parametrize("headers", FOREIGN[:5], ids=str)
def test_another_page_can_neither_log_in_nor_out(gateway: ServedGateway, headers: dict[str, str]) -> None:
    assert httpx.post(f"{gateway.url}/session", json={"token": ALICE}, headers=headers).status_code == 403
    assert httpx.delete(f"{gateway.url}/session", headers=headers).status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example.com", None])
def test_another_pages_websocket_is_refused(page: httpx.Client, gateway: ServedGateway, origin: str | None) -> None:
    headers = {"Cookie": f"{COOKIE}={page.cookies[COOKIE]}"} | ({} if origin is None else {"Origin": origin})
    with pytest.raises(InvalidStatus) as refused:
        connect(f"{gateway.url.replace('http', 'ws')}/ws", additional_headers=headers)
    assert refused.value.response.status_code == 403


def test_the_pages_own_websocket_is_accepted(page: httpx.Client, gateway: ServedGateway) -> None:
    headers = {"Cookie": f"{COOKIE}={page.cookies[COOKIE]}", "Origin": gateway.url}
    with connect(f"{gateway.url.replace('http', 'ws')}/ws", additional_headers=headers) as socket:
        assert socket.ping().wait(5)


@pytest.fixture
def local(tmp_path: Path) -> Iterator[ServedGateway]:
    """Without authentication, on loopback."""
    with served_gateway(tmp_path) as served:
        yield served


@pytest.mark.parametrize("headers", FOREIGN[:7], ids=str)
def test_without_authentication_another_sites_page_changes_nothing_here(
    local: ServedGateway, headers: dict[str, str]
) -> None:
    files = {"image": ("a.png", b"x"), "audio": ("a.wav", b"x")}
    assert httpx.post(f"{local.url}/api/generate", files=files, headers=headers).status_code == 403
    assert local.videos() == []


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8000", "127.0.0.1.evil.example.com", ""])
def test_without_authentication_a_name_that_was_made_to_lead_here_reads_nothing(
    local: ServedGateway, host: str
) -> None:
    assert httpx.get(f"{local.url}/api/queue", headers={"Host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "app.localhost"])
def test_without_authentication_this_machines_own_names_work(local: ServedGateway, host: str) -> None:
    assert httpx.get(f"{local.url}/api/queue", headers={"Host": host}).status_code == 200


def test_pages_of_other_sites_read_nothing_unless_the_administrator_lists_them(tmp_path: Path) -> None:
    origin = "https://app.example.com"
    with gateway_with_tokens(tmp_path, corsOrigins=[origin]) as served:
        asked = {
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        }
        preflight = httpx.options(f"{served.url}/jobs", headers=asked)
        assert preflight.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in preflight.headers
        answer = httpx.post(f"{served.url}/jobs", json=JOB, headers={"Origin": origin, **bearer(ALICE)})
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, origin)
        other = httpx.post(f"{served.url}/jobs", json=JOB, headers={"Origin": "https://evil.org", **bearer(ALICE)})
        assert "access-control-allow-origin" not in other.headers


def test_without_the_setting_no_other_site_is_named(gateway: ServedGateway) -> None:
    headers = {"Origin": "https://app.example.com", **bearer(ALICE)}
    answer = httpx.get(f"{gateway.url}/session", headers=headers)
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("origin", ["*", "https://app.example.com/path", "null", "https://*.example.com"])
def test_an_origin_is_one_site(origin: str) -> None:
    with pytest.raises(ValueError, match="corsOrigins"):
        GatewayConfig.model_validate({"corsOrigins": [origin]})
