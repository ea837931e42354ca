"""No failure of an input shows a signature, a password or a header: a canary in every place, through every kind of failure."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from talkingvideo_api.errors import StageError
from talkingvideo_api.reports import FailureReport, encode_report
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.inputs.policy import FetchPolicy
from talkingvideo_worker.process.termination import format_trace, to_stage_error

from .conftest import NAMES, Site
from .test_other_schemes import Bucket

FIELD = "spec.source.image.uri"
CANARY = "c4n4ryS1gn4ture"


def assert_silent(error: Exception) -> None:
    """Neither what a person reads, nor what the operator reads, nor the trace in the log has the canary."""
    failure = to_stage_error(error)
    for text in (str(failure), repr(failure), encode_report(FailureReport.of(failure)), format_trace(error)):
        assert CANARY not in text


def fail(fetcher: Fetcher, uri: str, folder: Path) -> None:
    with pytest.raises(Exception) as caught:
        fetcher.fetch(uri, folder / "input", FIELD)
    assert isinstance(caught.value, StageError)
    assert_silent(caught.value)


HIDDEN = [
    f"?X-Amz-Signature={CANARY}",
    f"#{CANARY}",
    f"?a=b#{CANARY}",
    f";jsessionid={CANARY}",
    f"%3Fsig={CANARY}",
    f"?{CANARY}%00",
    f"?a={CANARY}?b",
    f"?{CANARY}@host",
]
PATHS = [
    "/status/404",
    "/status/403",
    "/status/500",
    "/loop",
    "/nowhere",
    "/short",
    "/empty",
    "/brotli",
    "/half-zipped",
    "/bomb",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("path", PATHS)
def test_answers(site: Site, tmp_path: Path, path: str, hidden: str) -> None:
    is_part_of_path = hidden.startswith((";", "%"))  # which the server does not have: it hangs up
    policy = FetchPolicy(open_hosts=NAMES, attempts=1, max_bytes=20_000)
    url = site.url(f"/missing{hidden}" if is_part_of_path else f"{path}{hidden}")
    fail(site.fetcher(policy, headers={"Authorization": CANARY}), url, tmp_path)


TARGETS = [
    f"https://evil.test/?{CANARY}",
    f"https://user:{CANARY}@store.test/",
    f"https://{CANARY}%40evil.test/",
    f"http://store.test/?{CANARY}",
    f"ftp://{CANARY}:x@y/",
    f"https://[{CANARY}/",
    f"//10.0.0.1/?{CANARY}",
    f"/status/404?{CANARY}",
]


@pytest.mark.parametrize("target", TARGETS)
def test_redirects(site: Site, tmp_path: Path, target: str) -> None:
    policy = FetchPolicy(open_hosts=NAMES, allowed_hosts=NAMES, attempts=1)
    fail(site.fetcher(policy), site.url(f"/to/x?{target}"), tmp_path)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_connections_that_never_come_about(site: Site, tmp_path: Path, hidden: str) -> None:
    url, policy = site.url(f"/picture{hidden}"), FetchPolicy(open_hosts=NAMES, attempts=1)

    def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError(f"no {url}")

    attempts: list[dict[str, Any]] = [
        {"resolver": unknown},
        {"resolver": lambda host, port: ["169.254.169.254"]},
        {"resolver": lambda host, port: [CANARY]},
        {"resolver": lambda host, port: ["127.0.0.9"]},
        {"tls": ssl.create_default_context()},
        {"headers": {"Authorization": f"{CANARY}\n"}},
        {"headers": {f"X {CANARY}": "x"}},
    ]
    for options in attempts:
        fail(site.fetcher(policy, **options), url, tmp_path)
    fail(site.fetcher(FetchPolicy(allowed_hosts=("other.test",))), url, tmp_path)
    fail(site.fetcher(FetchPolicy(allowed_schemes=("s3",))), url, tmp_path)
    fail(site.fetcher(FetchPolicy(open_hosts=NAMES, timeout_seconds=0.3)), site.url(f"/drip?{CANARY}"), tmp_path)


@pytest.mark.parametrize(
    "uri",
    [
        f"https://user:{CANARY}@store.test/",
        f"https://user%3A{CANARY}%40store.test/",
        f"https://user:{CANARY}%40store.test/",
        f"https://{CANARY}:x/",
        f"https:///{CANARY}@x/?",
        f"https://[{CANARY}]/",
        f"https://a b/?{CANARY}",
        f"https://:{CANARY}@/",
        f"data:image/png;token={CANARY};base64,%%",
        f"data:image/png;token={CANARY}",
        f"pvc://media/a?{CANARY}",
        f"pvc://media/a%3F{CANARY}",
        f"configmap://media/a?{CANARY}",
        f"file:///nowhere/a?{CANARY}",
    ],
)
def test_addresses_that_lead_nowhere(tmp_path: Path, uri: str) -> None:
    for name in ("claims/media", "configmaps/media"):
        (tmp_path / name).mkdir(parents=True)
    mounts = Mounts(tmp_path / "claims", tmp_path / "configmaps", tmp_path / "headers")
    schemes = ("https", "s3", "pvc", "configmap", "data", "file")
    fail(Fetcher(FetchPolicy(allowed_schemes=schemes, allowed_hosts=("x.test",), attempts=1), mounts), uri, tmp_path)


@pytest.mark.parametrize("code", ["NoSuchKey", "AccessDenied", "PermanentRedirect", "SlowDown", "InternalError", ""])
def test_a_stores_own_messages(tmp_path: Path, code: str) -> None:
    bucket = Bucket()
    message = f"The AWS Access Key Id {CANARY} does not exist: https://b.s3/?X-Amz-Signature={CANARY}"
    bucket.stub.add_client_error("get_object", code, message, 403, {"StringToSign": CANARY})
    fail(bucket.fetcher(FetchPolicy(attempts=1)), f"s3://media/a.png?X-Amz-Signature={CANARY}", tmp_path)


def test_clients_that_cannot_be_made(tmp_path: Path) -> None:
    from botocore.exceptions import EndpointConnectionError, InvalidConfigError, ProxyConnectionError

    errors: list[Callable[[], Exception]] = [
        lambda: EndpointConnectionError(endpoint_url=f"https://x?{CANARY}"),
        lambda: ProxyConnectionError(proxy_url=f"http://u:{CANARY}@p"),
        lambda: InvalidConfigError(error_msg=CANARY),
    ]
    for make in errors:

        def client(make: Callable[[], Exception] = make) -> Any:
            raise make()

        fail(Fetcher(FetchPolicy(attempts=1), s3=client), f"s3://b/k?{CANARY}", tmp_path)
