from __future__ import annotations

import base64
import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

import botocore.session
import pytest
from botocore.exceptions import EndpointConnectionError, NoCredentialsError
from botocore.response import StreamingBody
from botocore.stub import Stubber
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.s3 import s3_client
from talkingvideo_worker.inputs.fetch import Fetcher
from talkingvideo_worker.inputs.offline import read_data, read_headers
from talkingvideo_worker.inputs.policy import FetchPolicy

FIELD = "spec.speech.speakers[0].audio.uri"
LOCAL = FetchPolicy(allowed_schemes=("file", "data"))


def failure(fetcher: Fetcher, uri: str, folder: Path) -> StageError:
    destination = folder / "fetched" / "input"
    with pytest.raises(StageError) as caught:
        fetcher.fetch(uri, destination, FIELD)
    assert caught.value.field == FIELD
    assert not destination.parent.exists() or list(destination.parent.iterdir()) == []
    return caught.value


def test_a_device_is_not_read(tmp_path: Path) -> None:
    error = failure(Fetcher(LOCAL), "file:///dev/zero", tmp_path)
    assert error.code is ErrorCode.INPUT_VALIDATION


def test_local_files_are_read_only_where_the_caller_says_so(tmp_path: Path) -> None:
    file = tmp_path / "ä picture.png"
    file.write_bytes(b"picture")
    assert Fetcher(LOCAL).fetch(file.as_uri(), tmp_path / "input", FIELD).path.read_bytes() == b"picture"
    error = failure(Fetcher(FetchPolicy()), file.as_uri(), tmp_path)
    assert error.code is ErrorCode.INPUT_VALIDATION
    assert "'file'" in error.message
    assert failure(Fetcher(LOCAL), "file://elsewhere/x", tmp_path).code is ErrorCode.INPUT_VALIDATION


@pytest.mark.parametrize("uri", ["", "gopher://x", "no scheme", "HTTP://example.com/"])
def test_unknown_schemes_are_refused(tmp_path: Path, uri: str) -> None:
    assert failure(Fetcher(FetchPolicy()), uri, tmp_path).code is ErrorCode.INPUT_VALIDATION


@given(st.binary(min_size=1, max_size=300))
def test_data_comes_back_from_every_form(content: bytes) -> None:
    encoded = base64.b64encode(content).decode()
    for uri in (
        f"data:image/png;base64,{encoded}",
        f"DATA:;BASE64,{encoded}",
        f"data:audio/wav;x=y;base64,{quote(encoded)}",
        f"data:,{quote(content)}",
    ):
        assert b"".join(read_data(uri, FIELD)) == content


@pytest.mark.parametrize(
    "uri",
    [
        "data:image/png;base64",
        "data:;base64,abc",
        "data:;base64,ab c=",
        "data:;base64,ab-_",
        "data:;base64,YQ==YQ==",
        "data:,%zz",
        "data:,ü",
        "data:;base64,YQ=",
    ],
)
def test_data_that_is_not_exactly_encoded_is_refused(tmp_path: Path, uri: str) -> None:
    assert failure(Fetcher(FetchPolicy()), uri, tmp_path).code is ErrorCode.INPUT_VALIDATION


def test_data_above_its_limit_is_refused(tmp_path: Path) -> None:
    error = failure(Fetcher(FetchPolicy()), "data:," + "a" * 184_320, tmp_path)
    assert "184,320" in error.message


class Bucket:
    """A client that answers from a script, checked by botocore's stubber."""

    def __init__(self) -> None:
        session = botocore.session.get_session()
        self.client: Any = session.create_client(
            "s3", region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b"
        )
        self.stub = Stubber(self.client)
        self.stub.activate()

    def holds(self, body: bytes, announced: int | None = None) -> None:
        answer = {
            "Body": StreamingBody(io.BytesIO(body), None),
            "ContentLength": len(body) if announced is None else announced,
        }
        self.stub.add_response("get_object", answer, {"Bucket": "media", "Key": "a/b c?.wav"})

    def answers(self, code: str, status: int) -> None:
        self.stub.add_client_error("get_object", code, http_status_code=status)

    def fetcher(self, policy: FetchPolicy | None = None) -> Fetcher:
        return Fetcher(policy or FetchPolicy(), s3=lambda: self.client, sleep=lambda seconds: None)


URI = "s3://media/a/b c?.wav"


def test_an_object_is_read_by_its_literal_key(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.holds(b"sound")
    assert bucket.fetcher().fetch(URI, tmp_path / "input", FIELD).path.read_bytes() == b"sound"


@pytest.mark.parametrize("announced", [None, 1])
def test_an_object_above_the_limit_is_refused_whatever_it_announces(tmp_path: Path, announced: int | None) -> None:
    bucket = Bucket()
    bucket.holds(bytes(100), announced)
    assert failure(bucket.fetcher(FetchPolicy(max_bytes=10)), URI, tmp_path).code is ErrorCode.INPUT_VALIDATION


@pytest.mark.parametrize(
    ("code", "status", "expected", "retryable"),
    [
        ("NoSuchKey", 404, ErrorCode.DOWNLOAD_FAILED, False),
        ("404", 404, ErrorCode.DOWNLOAD_FAILED, False),
        ("AccessDenied", 403, ErrorCode.STORE_ACCESS, False),
        ("SignatureDoesNotMatch", 403, ErrorCode.STORE_ACCESS, False),
        ("InvalidAccessKeyId", 403, ErrorCode.STORE_ACCESS, False),
        ("NoSuchBucket", 404, ErrorCode.STORE_ACCESS, False),
        ("SlowDown", 503, ErrorCode.DOWNLOAD_FAILED, True),
        ("InternalError", 500, ErrorCode.DOWNLOAD_FAILED, True),
    ],
)
def test_answers_of_the_store_become_codes(
    tmp_path: Path, code: str, status: int, expected: ErrorCode, retryable: bool
) -> None:
    bucket = Bucket()
    bucket.answers(code, status)
    error = failure(bucket.fetcher(FetchPolicy(attempts=1)), URI, tmp_path)
    assert (error.code, error.retryable) == (expected, retryable)
    assert "s3://media" in error.message


def test_a_transient_failure_of_the_store_is_retried(tmp_path: Path) -> None:
    bucket = Bucket()
    bucket.answers("SlowDown", 503)
    bucket.holds(b"sound")
    assert bucket.fetcher().fetch(URI, tmp_path / "input", FIELD).bytes == 5


@pytest.mark.parametrize(
    ("raised", "code", "retryable"),
    [
        (NoCredentialsError(), ErrorCode.STORE_ACCESS, False),
        (EndpointConnectionError(endpoint_url="http://store?secret"), ErrorCode.DOWNLOAD_FAILED, True),
    ],
)
def test_a_store_that_cannot_be_reached(tmp_path: Path, raised: Exception, code: ErrorCode, retryable: bool) -> None:
    def client() -> Any:
        raise raised

    error = failure(Fetcher(FetchPolicy(attempts=1), s3=client), URI, tmp_path)
    assert (error.code, error.retryable) == (code, retryable)
    assert "secret" not in str(error)


class _Redirecting(BaseHTTPRequestHandler):
    """An S3 service that redirects every request and never says where to."""

    requests: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.requests.append(self.command)
        body = b"<Error><Code>PermanentRedirect</Code><Endpoint>media.evil.test</Endpoint></Error>"
        self.send_response(301)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: object) -> None:
        pass


def test_an_s3_service_that_redirects_without_end_is_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Botocore asks for the bucket's region by a request that is redirected, too, from inside which it asks again."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    _Redirecting.requests.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        client = s3_client(S3Connection(endpoint=endpoint, addressing_style="path"))
        error = failure(Fetcher(FetchPolicy(), s3=lambda: client), URI, tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert (error.code, error.retryable) == (ErrorCode.STORE_ACCESS, False)
    assert "PermanentRedirect" in error.message
    assert _Redirecting.requests == ["GET"]


SECRETS = ["../outside", "linked", "..", ".", "/etc", "missing", "file"]


@pytest.mark.parametrize("secret", SECRETS)
def test_no_name_of_a_secret_leads_out_of_the_folder_of_secrets(tmp_path: Path, secret: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "Authorization").write_text("stolen")
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "linked").symlink_to(tmp_path / "outside")
    (folder / "file").write_text("x")
    with pytest.raises(StageError, match="--secrets DIR") as refusal:
        read_headers(folder, secret, FIELD)
    assert refusal.value.field == FIELD
    assert "stolen" not in str(refusal.value)


def test_headers_are_read_as_the_kubelet_mounts_them_and_a_link_out_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "auth"
    (secret / "..2026").mkdir(parents=True)
    (secret / "..data").symlink_to("..2026")
    (secret / "..2026" / "Authorization").write_text("Bearer x\n")
    (secret / "Authorization").symlink_to("..data/Authorization")
    assert read_headers(tmp_path, "auth", FIELD) == {"Authorization": "Bearer x"}
    (tmp_path / "key").write_text("stolen")
    (secret / "X-Key").symlink_to(tmp_path / "key")
    with pytest.raises(StageError, match="leads out"):
        read_headers(tmp_path, "auth", FIELD)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"x" * 100_000])
def test_a_header_that_is_no_short_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "auth").mkdir()
    (tmp_path / "auth" / "Authorization").write_bytes(content)
    with pytest.raises(StageError, match="Secret 'auth'"):
        read_headers(tmp_path, "auth", FIELD)


@pytest.mark.parametrize("uri", ["s3://media", "s3://media/", "s3:///key", "s3://"])
def test_an_object_needs_bucket_and_key(tmp_path: Path, uri: str) -> None:
    assert failure(Bucket().fetcher(), uri, tmp_path).code is ErrorCode.INPUT_VALIDATION


def test_objects_need_a_store(tmp_path: Path) -> None:
    assert failure(Fetcher(FetchPolicy()), URI, tmp_path).code is ErrorCode.INPUT_VALIDATION
