"""Inputs from ``https://`` addresses."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Mapping

import httpcore
import httpx

from talkingvideo_api.errors import StageError
from talkingvideo_api.uris import safe_uri
from talkingvideo_worker.inputs.addresses import host_matches
from talkingvideo_worker.inputs.deadline import Deadline
from talkingvideo_worker.inputs.failures import gone, refused, transient
from talkingvideo_worker.inputs.pinned import AddressRefusedError, PinnedBackend, Resolver, system_resolver
from talkingvideo_worker.inputs.policy import FetchPolicy

REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be different next time (RFC 9110, 15.5 and 15.6)."""

READ_SECONDS = 60.0
"""Longest silence of a server within the time limit."""

NOT_FOR_USERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "accept-encoding", "range"}
)
"""Headers that decide how the request itself is read."""

UNCODED = frozenset({"", "identity", "aws-chunked"})
"""``aws-chunked`` is what uploads by the AWS SDKs leave behind as metadata; the body is plain."""

PIECE = 65_536


class HttpsSource:
    """Reads over HTTP/1.1 with TLS.

    Proxies, ``.netrc`` and cookies play no part: httpcore knows none of them unless told.

    Args:
        policy: What is allowed.
        headers: Sent to the first host only; a redirect to another origin goes on without them.
        resolver: How names become addresses.
        tls: Certificates to trust; the policy's when absent.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        headers: Mapping[str, str] | None = None,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._policy = policy
        self._headers = dict(headers or {})
        self._resolver = resolver
        self._tls = tls or policy.tls_context()

    def read(self, uri: str, field: str, deadline: Deadline) -> Iterator[bytes]:
        """Stream the body.

        Raises:
            StageError: E_INPUT_VALIDATION for an address, host or redirect that is not allowed or a body that says that it
                is too large; E_DOWNLOAD_FAILED otherwise.
            DeadlinePassedError: When the time is up.
        """
        url = checked_url(uri, self._policy, field)
        headers = self._checked_headers(field)
        backend = PinnedBackend(self._policy, deadline, self._resolver)
        limits = {"timeout": {"connect": self._policy.connect_seconds, "read": READ_SECONDS, "write": READ_SECONDS}}
        with httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend) as pool:
            for _ in range(self._policy.max_redirects + 1):
                try:
                    with pool.stream("GET", _target(url), headers=_sent(url, headers), extensions=limits) as answer:
                        if answer.status not in REDIRECTS:
                            yield from self._body(answer, url, field)
                            return
                        following = _redirect(url, answer, self._policy, field)
                except (AddressRefusedError, *FAILURES) as error:
                    raise _explained(error, url, field) from None
                headers = headers if _same_origin(url, following) else {}
                url = following
        raise gone(f"{safe_uri(uri)} was redirected more than {self._policy.max_redirects} times.", field)

    def _body(self, answer: httpcore.Response, url: httpx.URL, field: str) -> Iterator[bytes]:
        if answer.status != 200:
            raise _not_found(answer.status, url, field)
        announced = _header(answer, "content-length")
        if announced.isdigit() and int(announced) > self._policy.max_bytes:
            raise refused(
                f"The file is {int(announced):,} bytes, and the limit is {self._policy.max_bytes:,} bytes.", field
            )
        coding = _header(answer, "content-encoding").lower()
        if coding in UNCODED:
            yield from answer.iter_stream()
        elif coding in {"gzip", "x-gzip", "deflate"}:
            yield from _decompressed(answer.iter_stream())
        else:
            raise gone(f"{safe_uri(str(url))} is sent in a coding that was not asked for.", field)

    def _checked_headers(self, field: str) -> dict[str, str]:
        """Names and values that can be sent. A value is a secret: no message shows it."""
        for name, value in self._headers.items():
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise refused("The Secret of headers has a key that is not the name of a header.", field)
            if name.lower() in NOT_FOR_USERS:
                raise refused(f"The Secret of headers may not set {name}.", field)
            if not value.isprintable() or not value.isascii() or value != value.strip():
                raise refused(f"The value of the header {name} has characters that cannot be sent.", field)
        return self._headers


FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    ssl.SSLError,
    zlib.error,
)


def checked_url(uri: str, policy: FetchPolicy, field: str) -> httpx.URL:
    """Read an address, and refuse what should not be asked for at all.

    One parser decides on the host, and the same result is connected to: there is no second opinion to exploit.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in uri):
        raise refused("The address contains a space, a backslash or a control character.", field)
    try:
        url = httpx.URL(uri)
        host = url.raw_host.decode("ascii").lower().rstrip(".")
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise refused("The address cannot be read as a URL.", field) from None
    if url.scheme != "https":
        raise refused(f"Only https:// is fetched, not {url.scheme or 'an address without a scheme'}.", field)
    if url.userinfo:
        raise refused("The address contains a user name or password; use headersSecretName instead.", field)
    if not host:
        raise refused("The address has no host.", field)
    if url.port is not None and not 0 < url.port < 65_536:
        raise refused("The address has a port that does not exist.", field)
    if policy.allowed_hosts and not host_matches(host, (*policy.allowed_hosts, *policy.open_hosts)):
        raise refused(f"The host {host} is not one of those that inputs may come from.", field)
    return url.copy_with(fragment=None)


def _target(url: httpx.URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _sent(url: httpx.URL, headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    sent = [
        (b"Host", url.netloc),
        (b"User-Agent", b"talkingvideo"),
        (b"Accept", b"*/*"),
        (b"Accept-Encoding", b"identity"),
        (b"Connection", b"close"),
    ]
    own = {name.lower() for name in headers}
    return [(name, value) for name, value in sent if name.decode().lower() not in own] + [
        (name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()
    ]


def _redirect(url: httpx.URL, answer: httpcore.Response, policy: FetchPolicy, field: str) -> httpx.URL:
    """Where a redirect leads: held to the same rules as the first address."""
    location = _header(answer, "location")
    if not location:
        raise gone(f"{safe_uri(str(url))} redirects without saying where to.", field)
    try:
        following = str(url.join(location))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise refused(f"{safe_uri(str(url))} redirects to something that is not a URL.", field) from None
    try:
        return checked_url(following, policy, field)
    except StageError as error:
        raise refused(
            f"{safe_uri(str(url))} redirects to an address that is not allowed. {error.message}", field
        ) from None


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.raw_host.lower(), one.port or 443) == (other.raw_host.lower(), other.port or 443)


def _header(answer: httpcore.Response, name: str) -> str:
    values = [value for key, value in answer.headers if key.decode("latin-1").lower() == name]
    return values[0].decode("latin-1").strip() if values else ""


def _not_found(status: int, url: httpx.URL, field: str) -> StageError:
    said = f"{safe_uri(str(url))} answered with status {status}"
    if status in PASSING or status > 504:
        return transient(f"{said}.", field)
    if status in {401, 403}:
        return gone(f"{said}: it needs credentials (headersSecretName), or a signature that has not expired.", field)
    return gone(f"{said}; the file has to be readable there.", field)


def _explained(error: Exception, url: httpx.URL, field: str) -> StageError:
    """Say what happened without the library's own words: they may quote what was sent."""
    where = safe_uri(str(url))
    if isinstance(error, AddressRefusedError):
        return refused(
            f"{where} leads to an address that inputs may not come from (private, local or reserved). "
            "An administrator can open the host.",
            field,
        )
    certificate = _certificate_failure(error)
    if certificate is not None:
        return gone(f"The TLS certificate of {where} is not valid: {certificate}.", field)
    if isinstance(error, httpcore.LocalProtocolError):
        return refused("The request cannot be sent: a header is not valid.", field)
    if isinstance(error, httpcore.TimeoutException):
        return transient(f"{where} took too long to answer.", field)
    if isinstance(error, httpcore.ConnectError):
        return transient(f"{where} could not be reached.", field)
    if isinstance(error, zlib.error):
        return transient(f"What {where} sent is compressed, and damaged.", field)
    return transient(f"The connection to {where} broke off.", field)


def _certificate_failure(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _decompressed(body: Iterator[bytes]) -> Iterator[bytes]:
    """Undo gzip or deflate in small pieces, so that the size cap sees a bomb while it goes off."""
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    for piece in body:
        pending = piece
        while pending:
            yield decoder.decompress(pending, PIECE)
            pending = decoder.unconsumed_tail
    yield decoder.flush()
    if not decoder.eof:
        raise zlib.error("the compressed body is incomplete")
