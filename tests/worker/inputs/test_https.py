from __future__ import annotations

import hashlib
import ssl
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.policy import FetchPolicy

from .conftest import BODY, NAMES, Site

FIELD = "spec.source.image.uri"
SECRET = "s3cr3tS1gnature"


def failure(site: Site, path: str, folder: Path, policy: FetchPolicy | None = None, **options: object) -> StageError:
    """The error of a fetch that has to fail, and must leave nothing behind."""
    url = path if path.startswith("https://") else site.url(path)
    with pytest.raises(StageError) as caught:
        site.fetcher(policy, **options).fetch(url, folder / "input", FIELD)
    assert caught.value.field == FIELD
    assert list(folder.iterdir()) == []
    return caught.value


def test_a_file_arrives_whole_with_its_digest(site: Site, tmp_path: Path) -> None:
    fetched = site.fetcher().fetch(site.url("/picture"), tmp_path / "new" / "input", FIELD)
    assert fetched.path.read_bytes() == BODY
    assert (fetched.bytes, fetched.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert [entry.name for entry in fetched.path.parent.iterdir()] == ["input"]


def test_the_request_carries_the_name_and_asks_for_plain_bytes(site: Site, tmp_path: Path) -> None:
    site.fetcher(headers={"Authorization": "Bearer x"}).fetch(site.url("/picture?a=%20b"), tmp_path / "input", FIELD)
    path, headers = site.requests[0]
    assert path == "/picture?a=%20b"
    assert headers["host"] == f"store.test:{site.port}"
    assert headers["accept-encoding"] == "identity"
    assert headers["authorization"] == "Bearer x"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_missing_file_is_not_requested_again(site: Site, tmp_path: Path, status: int) -> None:
    error = failure(site, f"/status/{status}?X-Amz-Signature={SECRET}", tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, False)
    assert str(status) in error.message
    assert SECRET not in str(error)
    assert len(site.requests) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failing_server_is_asked_again(site: Site, tmp_path: Path, status: int) -> None:
    error = failure(site, f"/status/{status}?sig={SECRET}", tmp_path, FetchPolicy(open_hosts=NAMES, attempts=3))
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert SECRET not in str(error)
    assert len(site.requests) == 3


def test_a_transient_failure_is_retried_with_growing_pauses(site: Site, tmp_path: Path) -> None:
    site.failures_left = 2
    pauses: list[float] = []
    fetched = site.fetcher(sleep=pauses.append).fetch(site.url("/flaky"), tmp_path / "input", FIELD)
    assert fetched.path.read_bytes() == BODY
    assert pauses == [0.5, 1.0]


def test_an_announced_size_above_the_limit_is_refused_at_once(site: Site, tmp_path: Path) -> None:
    error = failure(site, "/picture", tmp_path, FetchPolicy(open_hosts=NAMES, max_bytes=len(BODY) - 1))
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert f"{len(BODY):,}" in error.message


def test_a_file_of_exactly_the_limit_is_taken(site: Site, tmp_path: Path) -> None:
    policy = FetchPolicy(open_hosts=NAMES, max_bytes=len(BODY))
    assert site.fetcher(policy).fetch(site.url("/picture"), tmp_path / "input", FIELD).bytes == len(BODY)


def test_a_compressed_body_is_decompressed(site: Site, tmp_path: Path) -> None:
    assert site.fetcher().fetch(site.url("/zipped"), tmp_path / "input", FIELD).path.read_bytes() == BODY


def test_a_content_coding_that_was_not_requested_is_refused_but_that_of_upload_tools_is_plain(
    site: Site, tmp_path: Path
) -> None:
    assert failure(site, "/brotli", tmp_path).code is ErrorCode.DOWNLOAD_FAILED
    assert site.fetcher().fetch(site.url("/aws-chunked"), tmp_path / "input", FIELD).path.read_bytes() == BODY


def test_an_empty_file_is_refused(site: Site, tmp_path: Path) -> None:
    assert failure(site, "/empty", tmp_path).code is ErrorCode.INPUT_VALIDATION


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a9fe:a9fe"],
        ["2002:a00:1::"],
        ["fe80::1%eth0"],
        ["0.0.0.0"],
        ["93.184.216.34", "10.0.0.1"],
    ],
)
def test_a_name_with_a_forbidden_address_is_not_connected_to(site: Site, tmp_path: Path, answer: list[str]) -> None:
    policy = FetchPolicy(attempts=1)
    error = failure(site, "/picture", tmp_path, policy, resolver=lambda host, port: answer)
    assert (error.code, error.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert site.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "127.255.255.254",
        "0x7F.0x0.0x0.0x1",
        "0X7F000001",
        "0177.0.0.01",
        "0x7f.0.0.1",
        "127.0x0.1",
        "0.0.0.0",
        "0x0",
        "00",
        "[::]",
        "[0:0:0:0:0:0:0:1]",
        "[0000:0000:0000:0000:0000:0000:0000:0001]",
        "[::ffff:7f00:1]",
        "[::FFFF:127.0.0.1]",
        "[0:0:0:0:0:ffff:7f00:0001]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[64:ff9b:1::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "LOCALHOST",
        "10.0.0.1",
        "10.1",
        "167772161",
        "0xa000001",
        "012.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "192.168.257",
        "3232235777",
        "169.254.169.254",
        "169.254.43518",
        "2852039166",
        "0xa9fea9fe",
        "0251.0376.0251.0376",
        "[::ffff:169.254.169.254]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "0",
    ],
)
def test_every_spelling_of_this_machine_is_refused_by_the_real_resolver(site: Site, tmp_path: Path, host: str) -> None:
    with pytest.raises(StageError) as caught:
        Fetcher(FetchPolicy(attempts=1), tls=site.tls).fetch(site.url("/picture", host=host), tmp_path / "input", FIELD)
    assert caught.value.code is ErrorCode.INPUT_VALIDATION
    assert site.requests == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.",
        "LocalHost.",
        "①②⑦.⓪.⓪.①",
        "１２７.０.０.１",
        "127。0。0。1",
        "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[::1",
        "%31%32%37.0.0.1",
        "127.0.0.1%00",
        "127.0.0.1%2eevil.test",
        "localhost%20",
        "user@127.0.0.1",
        "store.test@127.0.0.1",
        "store.test%40127.0.0.1",
        "store.test\\@127.0.0.1",
        "store.test#@127.0.0.1",
        "store.test?@127.0.0.1",
        "xn--localhost-",
        "xn--",
        "a" * 64 + ".com",
        "a..b.com",
        "1.2.3.4]",
        "-",
        "..",
        "127..0.1",
    ],
)
def test_a_host_that_is_spelled_to_deceive_leads_nowhere(site: Site, tmp_path: Path, host: str) -> None:
    """Full-width digits, zones, escapes, and what one parser takes for a user and another for the host."""
    fetcher = Fetcher(FetchPolicy(attempts=1, timeout_seconds=5), tls=site.tls)
    with pytest.raises(StageError):
        fetcher.fetch(site.url("/picture", host=host), tmp_path / "input", FIELD)
    assert site.requests == []
    assert not (tmp_path / "input").exists()


def test_an_open_host_still_cannot_lead_to_a_metadata_service(site: Site, tmp_path: Path) -> None:
    error = failure(site, "/picture", tmp_path, resolver=lambda host, port: ["169.254.169.254"])
    assert error.code is ErrorCode.INPUT_VALIDATION


def test_a_name_is_resolved_once_per_connection_so_that_a_second_answer_changes_nothing(
    site: Site, tmp_path: Path
) -> None:
    """DNS rebinding: the first answer is checked and used; the second, private one would be used by a naive client."""
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    policy = FetchPolicy(open_hosts=NAMES, attempts=1)
    fetched = site.fetcher(policy, resolver=lambda host, port: next(answers)).fetch(
        site.url("/picture"), tmp_path / "input", FIELD
    )
    assert fetched.path.read_bytes() == BODY
    assert next(answers) == ["169.254.169.254"]


def test_the_next_address_is_tried_when_one_does_not_answer(site: Site, tmp_path: Path) -> None:
    policy = FetchPolicy(open_hosts=NAMES, attempts=1)
    fetcher = site.fetcher(policy, resolver=lambda host, port: ["127.0.0.2", "127.0.0.1"])
    assert fetcher.fetch(site.url("/picture"), tmp_path / "input", FIELD).bytes == len(BODY)


def test_an_unknown_name_may_be_known_later(site: Site, tmp_path: Path) -> None:
    error = failure(site, f"https://unknown.test/?sig={SECRET}", tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert SECRET not in str(error)


def test_a_certificate_of_an_unknown_authority_is_refused(site: Site, tmp_path: Path) -> None:
    error = failure(site, "/picture", tmp_path, tls=ssl.create_default_context())
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, False)
    assert "certificate" in error.message


def test_a_certificate_of_another_name_is_refused(site: Site, tmp_path: Path) -> None:
    policy = FetchPolicy(open_hosts=("third.test",), attempts=1)
    url = site.url("/picture", host="third.test")
    error = failure(site, url, tmp_path, policy, resolver=lambda host, port: ["127.0.0.1"])
    assert "certificate" in error.message


def test_the_policys_own_certificates_are_trusted(site: Site, tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    policy = FetchPolicy(open_hosts=NAMES, ca_file=certificate[0])
    assert site.fetcher(policy, tls=None).fetch(site.url("/picture"), tmp_path / "input", FIELD).bytes == len(BODY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", f"Bearer {SECRET}\r\nX: y"),
        ("Host", "evil.test"),
        ("Bad Name", SECRET),
        ("Range", "bytes=0-1"),
        ("X", "ü" + SECRET),
    ],
)
def test_headers_that_would_change_the_request_are_refused_without_showing_them(
    site: Site, tmp_path: Path, name: str, value: str
) -> None:
    error = failure(site, "/picture", tmp_path, headers={name: value})
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert SECRET not in str(error)
    assert site.requests == []


@pytest.mark.parametrize("hosts", [(), ("other.test",), ("*.store.test",), ("store.test.evil.net",), ("tore.test",)])
def test_headers_are_not_sent_to_a_host_that_the_profile_does_not_list(
    site: Site, tmp_path: Path, hosts: tuple[str, ...]
) -> None:
    policy = FetchPolicy(open_hosts=NAMES, header_hosts=hosts)
    error = failure(site, "/picture", tmp_path, policy, headers={"Authorization": f"Bearer {SECRET}"})
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert "may not be sent to store.test" in error.message
    assert SECRET not in str(error)
    assert site.requests == []


@pytest.mark.parametrize("hosts", [("store.test",), ("STORE.test.",), ("*.test",), ("*",)])
def test_headers_are_sent_to_the_hosts_that_the_profile_lists(
    site: Site, tmp_path: Path, hosts: tuple[str, ...]
) -> None:
    policy = FetchPolicy(open_hosts=NAMES, header_hosts=hosts)
    fetcher = site.fetcher(policy, headers={"Authorization": "Bearer x"})
    there = site.url("/picture", host="other.test")
    fetcher.fetch(site.url(f"/to/1?{there}"), tmp_path / "input", FIELD)
    assert ["authorization" in headers for _, headers in site.requests] == [True, False]


def test_proxies_of_the_environment_are_not_used(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert site.fetcher().fetch(site.url("/picture"), tmp_path / "input", FIELD).bytes == len(BODY)


def test_a_failed_fetch_leaves_the_earlier_file_alone(site: Site, tmp_path: Path) -> None:
    destination = tmp_path / "input"
    destination.write_bytes(b"before")
    with pytest.raises(StageError):
        site.fetcher().fetch(site.url("/status/404"), destination, FIELD)
    assert destination.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [destination]
