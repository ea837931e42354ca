"""Servers that lie, trickle, flood and break off. Each ends in words with the field, within the time limit of the input."""

from __future__ import annotations

import gzip
import re
import ssl
import zlib
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.inputs.policy import FetchPolicy

from .conftest import BODY, NAMES
from .raw_server import Behaviour, Connection, RawServer, expired_certificate, serving, serving_tls

FIELD = "spec.source.image.uri"
CANARY = "s3cr3t-of-the-server"
"""What a server says of itself goes into no message: it could be anything, also escapes for the reader's terminal."""

LIMIT = 1_000_000
OK = b"HTTP/1.1 200 OK\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def refusal(server: RawServer, folder: Path, seconds: float = 60, attempts: int = 2) -> StageError:
    """The words in which a fetch ends; it leaves nothing behind."""
    policy = FetchPolicy(open_hosts=NAMES, max_bytes=LIMIT, timeout_seconds=seconds, attempts=attempts)
    with pytest.raises(StageError) as caught:
        server.fetcher(policy).fetch(server.url(f"/picture?{CANARY}"), folder / "input", FIELD)
    assert caught.value.field == FIELD
    assert CANARY not in str(caught.value)
    assert str(caught.value).isprintable()
    assert list(folder.iterdir()) == []
    return caught.value


def says(content: bytes) -> Behaviour:
    """Send bytes, and close the connection."""
    return lambda connection: connection.send(content)


def goes_on(start: bytes, piece: bytes, pause: float = 0) -> Behaviour:
    """Send bytes, and then a piece again and again."""

    def behave(connection: Connection) -> None:
        connection.send(start)
        connection.send_endlessly(piece, pause)

    return behave


def sized(length: bytes, body: bytes = BODY) -> Behaviour:
    return says(OK + b"Content-Length: " + length + b"\r\n\r\n" + body)


def breaks_off(content: bytes) -> Behaviour:
    def behave(connection: Connection) -> None:
        connection.send(content)
        connection.reset()

    return behave


LIES: dict[str, tuple[Behaviour, str]] = {
    "nothing at all": (says(b""), "broke off"),
    "only half a status line": (says(b"HTTP/1."), "broke off"),
    "no HTTP": (says(b"220 ftp.test " + CANARY.encode() + b"\r\n"), "broke off"),
    "HTTP 0.9": (says(BODY), "broke off"),
    "HTTP 2 without being asked": (says(b"\0\0\x12\x04\0\0\0\0\0" + bytes(18)), "broke off"),
    "HTTP of a version of words": (says(b"HTTP/one 200 OK\r\nContent-Length: 1\r\n\r\nx"), "broke off"),
    "a status of five digits": (says(b"HTTP/1.1 20000 OK\r\n\r\n"), "broke off"),
    "a status of letters": (says(b"HTTP/1.1 abc OK\r\n\r\n"), "broke off"),
    "NUL bytes in a header": (says(OK + b"X-\0: \0" + CANARY.encode() + b"\r\n\r\n"), "broke off"),
    "NUL bytes in a value": (says(OK + b"X: a\0" + CANARY.encode() + b"\r\n\r\n"), "broke off"),
    "a header without a colon": (says(OK + CANARY.encode() + b"\r\n\r\n"), "broke off"),
    "a header with a space before the colon": (says(OK + b"Content-Length : 3\r\n\r\nabc"), "broke off"),
    "headers that break off": (breaks_off(OK + b"Content-Le"), "broke off"),
    "a body that breaks off": (breaks_off(OK + b"Content-Length: 500\r\n\r\n" + BODY[:90]), "broke off"),
    "a body shorter than announced": (sized(b"%d" % (len(BODY) + 1)), "broke off"),
    "two lengths that differ": (says(OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd"), "broke off"),
    "a negative length": (sized(b"-1"), "broke off"),
    "a length with a sign": (sized(b"+3", b"abc"), "broke off"),
    "a length in hexadecimal": (sized(b"0x3", b"abc"), "broke off"),
    "a length in superscript digits": (sized("²".encode("latin-1"), b"ab"), "broke off"),
    "a length of 5,000 digits": (sized(b"9" * 5_000), "broke off"),
    "a chunk of a negative size": (says(CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n"), "broke off"),
    "a chunk of a size that is no number": (says(CHUNKED + b"zz\r\nabcde\r\n0\r\n\r\n"), "broke off"),
    "a chunk of a size of a hundred digits": (says(CHUNKED + b"f" * 100 + b"\r\nabcde"), "broke off"),
    "a chunk longer than it says": (says(CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n"), "broke off"),
    "a chunk shorter than it says": (says(CHUNKED + b"ff\r\nabc"), "broke off"),
    "chunks without the last": (says(CHUNKED + b"3\r\nabc\r\n"), "broke off"),
    "a coding of the transfer that nobody asked for": (
        says(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        "broke off",
    ),
    "gzip that is none": (says(GZIP + b"\r\n" + BODY), "damaged"),
    "gzip that breaks off": (says(GZIP + b"\r\n" + gzip.compress(BODY)[:-9]), "damaged"),
    "gzip with a wrong checksum": (says(GZIP + b"\r\n" + gzip.compress(BODY)[:-8] + bytes(8)), "damaged"),
    "deflate with a dictionary": (says(OK + b"Content-Encoding: deflate\r\n\r\n\x78\xbb" + bytes(40)), "damaged"),
    "deflate without its header": (
        says(OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(BODY)[2:-4]),
        "damaged",
    ),
}


@pytest.mark.parametrize(("behaviour", "said"), LIES.values(), ids=list(LIES))
def test_an_answer_that_is_none_is_asked_for_again_and_ends_in_words(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour, said: str
) -> None:
    with serving(behaviour, certificate[0], serving_tls(*certificate)) as server:
        error = refusal(server, tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert said in error.message
    assert len(server.paths) == 2


ANSWERS: dict[str, tuple[bytes, str]] = {
    "a part of the file": (b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-2/3\r\n\r\nabc", "status 206"),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", "status 204"),
    "not modified": (b"HTTP/1.1 304 Not Modified\r\n\r\n", "status 304"),
    "the file is not that long": (b"HTTP/1.1 416 Range Not Satisfiable\r\nContent-Range: bytes */3\r\n\r\n", "416"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", "broke off"),
    "a proxy's question": (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "status 407"),
    "a password is wanted": (b'HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n', "status 401"),
    "choices": (b"HTTP/1.1 300 Multiple Choices\r\nLocation: https://169.254.169.254/\r\n\r\n", "status 300"),
    "a proxy to use": (b"HTTP/1.1 305 Use Proxy\r\nLocation: https://169.254.169.254/\r\n\r\n", "status 305"),
    "a joke in the reason": (b"HTTP/1.1 418 \x1b]0;" + CANARY.encode() + b"\x07\r\n\r\n", "status 418"),
    "brotli": (OK + b"Content-Encoding: br\r\n\r\n" + BODY, "content coding that was not requested"),
    "two codings": (OK + b"Content-Encoding: gzip, gzip\r\n\r\n" + BODY, "content coding that was not requested"),
    "two headers of codings": (
        GZIP + b"Content-Encoding: gzip\r\n\r\n" + BODY,
        "content coding that was not requested",
    ),
    "a coding behind a plain one": (
        OK + b"Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n" + BODY,
        "content coding that was not requested",
    ),
}


@pytest.mark.parametrize(("answer", "said"), ANSWERS.values(), ids=list(ANSWERS))
def test_an_answer_without_the_file_ends_in_words(
    certificate: tuple[Path, Path], tmp_path: Path, answer: bytes, said: str
) -> None:
    with serving(says(answer), certificate[0], serving_tls(*certificate)) as server:
        error = refusal(server, tmp_path)
    assert error.code is ErrorCode.DOWNLOAD_FAILED
    assert said in error.message


FLOODS: dict[str, Behaviour] = {
    "a body": goes_on(OK + b"\r\n", b"x" * 65_536),
    "a body in chunks": goes_on(CHUNKED, b"10000\r\n" + b"x" * 65_536 + b"\r\n"),
    "zeros behind gzip": says(GZIP + b"\r\n" + gzip.compress(bytes(80_000_000))),
    "gzip in gzip that is opened once": goes_on(GZIP + b"\r\n", gzip.compress(gzip.compress(bytes(40_000_000)))),
    "bytes after the end of gzip": goes_on(GZIP + b"\r\n" + gzip.compress(BODY), b"x" * 65_536),
    "gzip after gzip": goes_on(GZIP + b"\r\n", gzip.compress(BODY)),
    "blocks of gzip that are empty": goes_on(GZIP + b"\r\n" + gzip.compress(b"")[:10], b"\0\0\0\xff\xff" * 10_000),
    "a name in the header of gzip": goes_on(GZIP + b"\r\n\x1f\x8b\x08\x08" + bytes(6), b"x" * 65_536),
    "more than was announced as too much": sized(b"%d" % (LIMIT + 1)),
    "an announced exabyte": sized(b"1000000000000000000"),
}


@pytest.mark.parametrize("behaviour", FLOODS.values(), ids=list(FLOODS))
def test_a_flood_of_content_meets_the_limit_at_once(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour
) -> None:
    with serving(behaviour, certificate[0], serving_tls(*certificate)) as server:
        error = refusal(server, tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.INPUT_VALIDATION, False)
    assert re.search(r"larger than the limit|the limit is", error.message)
    assert len(server.paths) == 1


HEADS: dict[str, Behaviour] = {
    "a status line": goes_on(b"HTTP/1.1 200 ", b"x" * 65_536),
    "headers": goes_on(OK, b"X-Header: " + b"x" * 1_000 + b"\r\n"),
    "one header": goes_on(OK + b"X: ", b"x" * 65_536),
    "one header in folded lines": goes_on(OK + b"X: x\r\n", b" x\r\n" * 10_000),
    "lines without content": goes_on(b"", b"\r\n" * 10_000),
    "an extension of a chunk": goes_on(CHUNKED + b"3;", b"x" * 65_536),
    "trailers": goes_on(CHUNKED + b"3\r\nabc\r\n0\r\n", b"X-Trailer: " + b"x" * 1_000 + b"\r\n"),
}


@pytest.mark.parametrize("behaviour", HEADS.values(), ids=list(HEADS))
def test_a_flood_of_what_is_no_content_ends_long_before_the_time_limit(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour
) -> None:
    with serving(behaviour, certificate[0], serving_tls(*certificate)) as server:
        error = refusal(server, tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert "broke off" in error.message


HOLDING: dict[str, Behaviour] = {
    "before the answer": Connection.hold,
    "letters of the status line": goes_on(b"", b"H", 0.05),
    "letters of a header": goes_on(OK + b"X: ", b"x", 0.05),
    "header after header": goes_on(OK, b"X: x\r\n", 0.05),
    "a hundred continues": goes_on(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.02),
    "early hints without end": goes_on(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 100),
    "byte by byte": goes_on(OK + b"Content-Length: 1000\r\n\r\n", b"x", 0.05),
    "chunks of one byte": goes_on(CHUNKED, b"1\r\nx\r\n", 0.05),
    "digits of the size of a chunk": goes_on(CHUNKED, b"0", 0.2),
    "before the last byte": goes_on(OK + b"Content-Length: 10\r\n\r\n123456789", b"", 0.05),
    "before the last chunk": goes_on(CHUNKED + b"3\r\nabc\r\n", b"", 0.05),
    "gzip byte by byte": goes_on(GZIP + b"\r\n" + gzip.compress(b"")[:10], b"\0\0\0\xff\xff", 0.05),
}


@pytest.mark.parametrize("behaviour", HOLDING.values(), ids=list(HOLDING))
def test_a_server_that_keeps_its_client_waiting_ends_with_the_time_limit(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour
) -> None:
    with serving(behaviour, certificate[0], serving_tls(*certificate)) as server:
        error = refusal(server, tmp_path, seconds=0.3)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert "did not arrive within 0.3 seconds" in error.message


WITHOUT_TLS: dict[str, tuple[Behaviour, str]] = {
    "plain HTTP": (says(OK + b"Content-Length: 3\r\n\r\nabc"), "could not be reached"),
    "a greeting of another protocol": (says(b"SSH-2.0-" + CANARY.encode() + b"\r\n"), "could not be reached"),
    "half a record of TLS": (says(b"\x16\x03\x03\x40\x00" + bytes(90)), "could not be reached"),
    "an alert": (says(b"\x15\x03\x03\x00\x02\x02\x28"), "could not be reached"),
    "a reset instead of a handshake": (breaks_off(b""), "could not be reached"),
    "no handshake": (Connection.hold, "did not arrive within 0.3 seconds"),
    "a handshake byte by byte": (goes_on(b"\x16\x03\x03\x40\x00", b"\x02", 0.05), "did not arrive within 0.3 seconds"),
}


@pytest.mark.parametrize(("behaviour", "said"), WITHOUT_TLS.values(), ids=list(WITHOUT_TLS))
def test_a_server_without_tls_ends_in_words(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour, said: str
) -> None:
    with serving(behaviour, certificate[0], None) as server:
        error = refusal(server, tmp_path, seconds=0.3)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, True)
    assert said in error.message


def test_a_certificate_that_has_ended_is_refused(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    ended, key = expired_certificate(tmp_path_factory.mktemp("expired"))
    with serving(says(OK + b"Content-Length: 3\r\n\r\nabc"), ended, serving_tls(ended, key)) as server:
        error = refusal(server, tmp_path)
    assert (error.code, error.retryable) == (ErrorCode.DOWNLOAD_FAILED, False)
    assert "certificate has expired" in error.message
    assert server.paths == []


def test_a_version_of_tls_that_is_no_longer_safe_is_refused(certificate: tuple[Path, Path], tmp_path: Path) -> None:
    old = serving_tls(*certificate)
    with pytest.warns(DeprecationWarning):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("DEFAULT@SECLEVEL=0")
    with serving(says(OK + b"Content-Length: 3\r\n\r\nabc"), certificate[0], old) as server:
        error = refusal(server, tmp_path)
    assert error.code is ErrorCode.DOWNLOAD_FAILED
    assert server.paths == []


HONEST: dict[str, tuple[Behaviour, bytes]] = {
    "more than announced is not read": (sized(b"3", b"abc" + BODY), b"abc"),
    "a length beside chunks does not count": (
        says(OK + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
        b"abc",
    ),
    "a declared type does not count": (
        says(OK + b"Content-Type: text/html\r\nContent-Length: 3\r\n\r\nabc"),
        b"abc",
    ),
    "a name for the file does not count": (
        says(OK + b"Content-Disposition: attachment; filename=/etc/cron.d/x\r\nContent-Length: 3\r\n\r\nabc"),
        b"abc",
    ),
    "bytes behind gzip are dropped": (says(GZIP + b"\r\n" + gzip.compress(b"abc") + b"x" * 999), b"abc"),
    "hints come before": (says(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 5 + OK + b"Content-Length: 3\r\n\r\nabc"), b"abc"),
    "cookies are not kept": (says(OK + b"Set-Cookie: a=b; Domain=test\r\nContent-Length: 3\r\n\r\nabc"), b"abc"),
}


@pytest.mark.parametrize(("behaviour", "content"), HONEST.values(), ids=list(HONEST))
def test_what_arrives_is_what_the_body_says(
    certificate: tuple[Path, Path], tmp_path: Path, behaviour: Behaviour, content: bytes
) -> None:
    with serving(behaviour, certificate[0], serving_tls(*certificate)) as server:
        fetcher = server.fetcher(FetchPolicy(open_hosts=NAMES, attempts=1))
        assert fetcher.fetch(server.url("/picture"), tmp_path / "input", FIELD).path.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["input"]
