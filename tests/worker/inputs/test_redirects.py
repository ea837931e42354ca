"""Redirects: each address that a server names is checked as the first one was, and headers of a Secret stay with their host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.inputs.policy import FetchPolicy

from .conftest import BODY, NAMES, Site
from .raw_server import Behaviour, Connection, serving, serving_tls

FIELD = "spec.source.image.uri"
CANARY = "s3cr3tS1gnature"

PRIVATE = {"metadata.test": "169.254.169.254", "inside.test": "10.0.0.1", "local.test": "127.0.0.1"}
SPELLINGS = {
    "2130706433": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "127.1": "127.0.0.1",
    "2852039166": "169.254.169.254",
    "[::ffff:127.0.0.1]": "::ffff:7f00:1",
    "[::ffff:a9fe:a9fe]": "::ffff:a9fe:a9fe",
    "[64:ff9b::7f00:1]": "64:ff9b::7f00:1",
    "[fe80::1]": "fe80::1%eth0",
    "[::]": "::",
    "0": "0.0.0.0",
}
"""What the system's resolver makes of numbers that are no usual addresses."""


def resolver(host: str, port: int) -> Sequence[str]:
    known = {**PRIVATE, **SPELLINGS, **dict.fromkeys(NAMES, "127.0.0.1")}
    return [known.get(host, host.strip("[]"))]


def failure(site: Site, path: str, folder: Path, policy: FetchPolicy | None = None) -> StageError:
    """The error of a fetch that has to fail, and must leave nothing behind."""
    with pytest.raises(StageError) as caught:
        site.fetcher(policy, resolver=resolver).fetch(site.url(path), folder / "input", FIELD)
    assert caught.value.field == FIELD
    assert CANARY not in str(caught.value)
    assert list(folder.iterdir()) == []
    return caught.value


FORBIDDEN = [
    *(f"https://{host}/?{CANARY}" for host in SPELLINGS),
    *(f"https://{host}/?{CANARY}" for host in PRIVATE),
    f"https://169.254.169.254/latest/meta-data/?{CANARY}",
    "https://10.0.0.1/",
    "https://192.168.1.1:443/",
    "https://100.100.100.200/",
    "https://[::1]/",
    "https://[fd00:ec2::254]/",
    "//10.0.0.1/",
    "//inside.test/picture",
    "http://store.test/picture",
    "HTTP://store.test/picture",
    "file:///etc/passwd",
    "ftp://store.test/picture",
    "s3://media/a.png",
    "pvc://media/a.png",
    "configmap://faces/a.png",
    "data:image/png;base64,iVBORw0KGgo=",
    "javascript:alert(1)",
    "gopher://store.test/_GET",
    "unix:/run/docker.sock",
    f"https://user:{CANARY}@store.test/picture",
    f"https://{CANARY}@store.test/picture",
    "https://store.test@10.0.0.1/",
    "https://store.test:443@10.0.0.1/picture",
    "https://store.test:0/picture",
    "https://store.test:99999/picture",
    "https://[::1/",
]


@pytest.mark.parametrize("target", FORBIDDEN)
def test_a_redirect_to_a_forbidden_place_is_refused(site: Site, tmp_path: Path, target: str) -> None:
    error = failure(site, f"/to/x?{target}", tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert len(site.requests) == 1


def redirecting(location: bytes, status: int = 302) -> Behaviour:
    """Redirect what asks for ``/start``, with the server's own port for ``PORT``; everything else is the picture."""

    def behave(connection: Connection) -> None:
        if connection.path.startswith("/start"):
            header = location.replace(b"PORT", b"%d" % connection.stream.getsockname()[1])
            connection.send(b"HTTP/1.1 %d Found\r\n%s\r\nContent-Length: 0\r\n\r\n" % (status, header))
        else:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)

    return behave


MALFORMED = {
    "none": (b"X: y", "without a Location"),
    "an empty one": (b"Location:", "without a Location"),
    "of spaces": (b"Location:    ", "without a Location"),
    "a tab": (b"Location: /a\tb", "redirects to"),
    "backslashes": (b"Location: \\\\store.test\\picture", "not allowed"),
    "a host behind a backslash": (b"Location: https://store.test\\@10.0.0.1/", "not allowed"),
    "a NUL byte": (b"Location: /a\0b", "broke off"),
    "an escape for terminals": (b"Location: https://\x1b[31mstore.test/", "redirects to"),
    "70,000 characters": (b"Location: /" + b"a" * 70_000, "redirects to"),
    "a port of letters": (b"Location: https://store.test:port/", "redirects to"),
    "half an address of IPv6": (b"Location: https://[::1/", "redirects to"),
}


@pytest.mark.parametrize(("location", "said"), MALFORMED.values(), ids=list(MALFORMED))
def test_a_location_that_leads_nowhere_ends_in_words(
    certificate: tuple[Path, Path], tmp_path: Path, location: bytes, said: str
) -> None:
    policy = FetchPolicy(open_hosts=NAMES, attempts=1)
    with (
        serving(redirecting(location), certificate[0], serving_tls(*certificate)) as server,
        pytest.raises(StageError) as caught,
    ):
        server.fetcher(policy).fetch(server.url("/start"), tmp_path / "input", FIELD)
    assert caught.value.field == FIELD
    assert said in caught.value.message
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1_000
    assert server.paths == ["/start"]


FOLLOWED = {
    "a space": (b"Location: /a b", "/a%20b"),
    "a path": (b"Location: /picture", "/picture"),
    "a name beside": (b"Location: picture", "/picture"),
    "a step up": (b"Location: ../picture", "/picture"),
    "many steps up": (b"Location: ../../../../../../etc/passwd", "/etc/passwd"),
    "escaped steps up": (b"Location: /%2e%2e/%2e%2e/etc/passwd", "/%2e%2e/%2e%2e/etc/passwd"),
    "another query": (b"Location: /picture?a=b", "/picture?a=b"),
    "a fragment": (b"Location: /picture#" + CANARY.encode(), "/picture"),
    "the same host by scheme-relative address": (b"Location: //store.test:PORT/picture", "/picture"),
    "capitals": (b"LOCATION: HTTPS://STORE.TEST:PORT/picture", "/picture"),
}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(("location", "path"), FOLLOWED.values(), ids=list(FOLLOWED))
def test_a_redirect_is_followed_as_browsers_read_it(
    certificate: tuple[Path, Path], tmp_path: Path, location: bytes, path: str, status: int
) -> None:
    with serving(redirecting(location, status), certificate[0], serving_tls(*certificate)) as server:
        fetcher = server.fetcher(FetchPolicy(open_hosts=NAMES))
        assert fetcher.fetch(server.url("/start"), tmp_path / "input", FIELD).path.read_bytes() == BODY
    assert server.paths == ["/start", path]


def test_the_body_of_a_redirect_is_not_read(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    def behave(connection: Connection) -> None:
        if connection.path == "/start":
            connection.send(b"HTTP/1.1 302 Found\r\nLocation: /picture\r\n\r\n")
            connection.send_endlessly(b"x" * 65_536)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    with serving(behave, certificate[0], serving_tls(*certificate)) as server:
        fetcher = server.fetcher(FetchPolicy(open_hosts=NAMES, attempts=1))
        assert fetcher.fetch(server.url("/start"), tmp_path / "input", FIELD).path.read_bytes() == b"abc"


def circle(site: Site, *hosts: str) -> str:
    """The path of a redirect that goes through hosts, and then around without end."""
    return "".join(f"/to/{host}?{site.url('', host)}" for host in hosts) + "/loop"


@pytest.mark.parametrize("hosts", [(), ("store.test",), ("other.test",)])
def test_redirects_without_end_are_cut_off(site: Site, tmp_path: Path, hosts: tuple[str, ...]) -> None:
    error = failure(site, circle(site, *hosts), tmp_path, FetchPolicy(open_hosts=NAMES, max_redirects=3))
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, False)
    assert "redirected more than 3 times" in error.message
    assert len(site.requests) == 4


def test_as_many_redirects_as_allowed_are_followed(site: Site, tmp_path: Path) -> None:
    policy = FetchPolicy(open_hosts=NAMES, max_redirects=3)
    fetched = site.fetcher(policy).fetch(site.url("/to/1?/to/2?/to/3?/picture"), tmp_path / "input", FIELD)
    assert fetched.path.read_bytes() == BODY
    assert "more than 3 times" in failure(site, "/to/1?/to/2?/to/3?/to/4?/picture", tmp_path / "other", policy).message


def test_a_redirect_outside_the_allowed_hosts_is_refused(site: Site, tmp_path: Path) -> None:
    policy = FetchPolicy(allowed_hosts=("store.test",), open_hosts=("store.test",))
    error = failure(site, f"/to/x?{site.url('/picture', host='other.test')}", tmp_path, policy)
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert "other.test" in error.message


REBOUND = [
    ["169.254.169.254"],
    ["0.0.0.0"],
    ["fd00:ec2::254"],
    ["::ffff:127.0.0.1"],
    ["fe80::1%eth0"],
    ["127.0.0.1", "169.254.169.254"],
    ["not an address"],
]


@pytest.mark.parametrize("second", REBOUND)
def test_a_name_that_turns_into_a_forbidden_one_between_two_connections_is_refused(
    site: Site, tmp_path: Path, second: list[str]
) -> None:
    """DNS rebinding by way of a redirect: also an open host has no such address."""
    answers = iter([["127.0.0.1"], second])
    with pytest.raises(StageError) as caught:
        fetcher = site.fetcher(resolver=lambda host, port: next(answers))
        fetcher.fetch(site.url("/to/x?/picture"), tmp_path / "input", FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    assert len(site.requests) == 1


def test_headers_stay_with_their_host_also_when_the_way_leads_back(site: Site, tmp_path: Path) -> None:
    back = site.url("/picture")
    there = site.url(f"/to/2?{back}", host="other.test")
    fetcher = site.fetcher(headers={"Authorization": "Bearer x"})
    fetched = fetcher.fetch(site.url(f"/to/1?/to/same?{there}"), tmp_path / "input", FIELD)
    assert fetched.path.read_bytes() == BODY
    assert ["authorization" in headers for _, headers in site.requests] == [True, True, False, False]


@pytest.mark.parametrize(("host", "sent"), [("store.test", True), ("STORE.test", True), ("other.test", False)])
def test_headers_are_sent_to_the_same_origin_only(site: Site, tmp_path: Path, host: str, sent: bool) -> None:
    fetcher = site.fetcher(headers={"X-Token": CANARY}, resolver=resolver)
    fetcher.fetch(site.url(f"/to/x?{site.url('/picture', host)}"), tmp_path / "input", FIELD)
    assert ["x-token" in headers for _, headers in site.requests] == [True, sent]


def test_another_port_is_another_origin(site: Site, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    heard: list[bytes] = []

    def listen(connection: Connection) -> None:
        heard.append(connection.head)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")

    with serving(listen, certificate[0], serving_tls(*certificate)) as server:
        fetcher = site.fetcher(headers={"X-Token": CANARY})
        fetcher.fetch(site.url(f"/to/x?{server.url('/picture')}"), tmp_path / "input", FIELD)
    assert "x-token" in site.requests[0][1]
    assert heard and CANARY.encode() not in heard[0]
