"""Inputs from ``https://`` addresses."""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Iterator, Mapping

import httpcore
import httpx

from talkingvideo_api.errors import StageError
from talkingvideo_api.hosts import host_matches
from talkingvideo_api.uris import safe_uri
from talkingvideo_worker.inputs.deadline import Deadline
from talkingvideo_worker.inputs.errors import permanent, transient
from talkingvideo_worker.inputs.pinned import AddressRefusedError, PinnedBackend, Resolver, system_resolver
from talkingvideo_worker.inputs.policy import FetchPolicy

REDIRECTS = frozenset({301, 302, 303, 307, 308})
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another attempt may not meet again (RFC 9110, 15.5 and 15.6)."""

READ_SECONDS = 60.0
"""Longest time without data, within the deadline."""

RESERVED_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "te", "upgrade", "accept-encoding", "range"}
)
"""Headers that determine how the request itself is parsed."""

NOT_ENCODED = frozenset({"", "identity", "aws-chunked"})
"""Content codings of a plain body. ``aws-chunked`` is metadata that uploads with the AWS SDKs leave behind."""

PIECE = 65_536


class HttpsSource:
    """Reads over HTTP/1.1 with TLS.

    Proxies, ``.netrc`` and cookies are not used: httpcore ignores them unless configured.

    Args:
        policy: The rules.
        headers: Sent to the first origin only; they are dropped on a redirect to another one.
        resolver: Resolves host names.
        tls: TLS settings; the policy's when absent.
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
            StageError: E_INPUT_VALIDATION for an address, host or redirect that is not allowed and for a body that is announced
                as too large; E_DOWNLOAD_FAILED otherwise.
            DeadlinePassedError: When no time is left.
        """
        url = checked_url(uri, self._policy, field)
        headers = self._checked_headers(url, field)
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
        raise permanent(f"{safe_uri(uri)} was redirected more than {self._policy.max_redirects} times.", field)

    def _body(self, answer: httpcore.Response, url: httpx.URL, field: str) -> Iterator[bytes]:
        if answer.status != 200:
            raise _not_found(answer.status, url, field)
        announced = _header(answer, "content-length")
        if announced.isdigit() and int(announced) > self._policy.max_bytes:
            raise StageError.invalid(
                f"The file is {int(announced):,} bytes, and the limit is {self._policy.max_bytes:,} bytes.", field
            )
        coding = _header(answer, "content-encoding").lower()
        if coding in NOT_ENCODED:
            yield from answer.iter_stream()
        elif coding in {"gzip", "x-gzip", "deflate"}:
            yield from _decompressed(self._bounded(answer.iter_stream(), field))
        else:
            raise permanent(f"{safe_uri(str(url))} is sent in a content coding that was not requested.", field)

    def _bounded(self, body: Iterator[bytes], field: str) -> Iterator[bytes]:
        """The compressed body, which is never much larger than its content: bytes that yield nothing must end, too."""
        received, most = 0, self._policy.max_bytes + self._policy.max_bytes // 8 + PIECE
        for piece in body:
            received += len(piece)
            if received > most:
                raise StageError.invalid(
                    f"The compressed file is larger than the limit of {self._policy.max_bytes:,} bytes.", field
                )
            yield piece

    def _checked_headers(self, url: httpx.URL, field: str) -> dict[str, str]:
        """Headers that are meant for the host, with valid names and values. Values are secrets: no message shows them."""
        if self._headers and not host_matches(_host(url), self._policy.header_hosts):
            allowed = ", ".join(self._policy.header_hosts) or "no host"
            raise StageError.invalid(
                f"The Secret of headers may not be sent to {_host(url)}; the profile's allow.secrets lists {allowed}.",
                field,
            )
        for name, value in self._headers.items():
            if not name.isascii() or not name.replace("-", "").replace("_", "").isalnum():
                raise StageError.invalid("The Secret of headers has a key that is not the name of a header.", field)
            if name.lower() in RESERVED_HEADERS:
                raise StageError.invalid(f"The Secret of headers may not set {name}.", field)
            if not value.isprintable() or not value.isascii() or value != value.strip():
                raise StageError.invalid(f"The value of the header {name} has characters that cannot be sent.", field)
        return self._headers


FAILURES = (
    httpcore.NetworkError,
    httpcore.TimeoutException,
    httpcore.ProtocolError,
    ssl.SSLError,
    zlib.error,
)


def checked_url(uri: str, policy: FetchPolicy, field: str) -> httpx.URL:
    """Parse an address and apply the rules for URLs and hosts.

    One parser decides on the host, and its result is what is connected to: no second parser can disagree with the first.

    Raises:
        StageError: E_INPUT_VALIDATION.
    """
    if any(character.isspace() or not character.isprintable() or character == "\\" for character in uri):
        raise StageError.invalid("The address contains a space, a backslash or a control character.", field)
    try:
        url = httpx.URL(uri)
        host = _host(url)
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise StageError.invalid("The address cannot be read as a URL.", field) from None
    if url.scheme != "https":
        raise StageError.invalid(f"Only https:// is fetched, not {url.scheme or 'an address without a scheme'}.", field)
    if url.userinfo:
        raise StageError.invalid("The address contains a user name or password; use headersSecretName instead.", field)
    if not host:
        raise StageError.invalid("The address has no host.", field)
    if url.port is not None and not 0 < url.port < 65_536:
        raise StageError.invalid("The address has a port outside 1 to 65535.", field)
    if policy.allowed_hosts and not host_matches(host, (*policy.allowed_hosts, *policy.open_hosts)):
        raise StageError.invalid(f"The host {host} is not one of the allowed hosts for inputs.", field)
    return url.copy_with(fragment=None)


def _host(url: httpx.URL) -> str:
    return url.raw_host.decode("ascii").lower().rstrip(".")


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
    """The target of a redirect; the same rules apply as to the first address."""
    location = _header(answer, "location")
    if not location:
        raise permanent(f"{safe_uri(str(url))} redirects without a Location header.", field)
    try:
        following = str(url.join(location))
    except (httpx.InvalidURL, UnicodeError, ValueError):
        raise StageError.invalid(f"{safe_uri(str(url))} redirects to something that is not a URL.", field) from None
    try:
        return checked_url(following, policy, field)
    except StageError as error:
        raise StageError.invalid(
            f"{safe_uri(str(url))} redirects to an address that is not allowed. {error.message}", field
        ) from None


def _same_origin(one: httpx.URL, other: httpx.URL) -> bool:
    return (one.raw_host.lower(), one.port or 443) == (other.raw_host.lower(), other.port or 443)


def _header(answer: httpcore.Response, name: str) -> str:
    """A header that may come several times, as one list (RFC 9110, 5.3); empty where it is absent."""
    values = [value for key, value in answer.headers if key.decode("latin-1").lower() == name]
    return ", ".join(value.decode("latin-1").strip() for value in values)


def _not_found(status: int, url: httpx.URL, field: str) -> StageError:
    said = f"{safe_uri(str(url))} answered with status {status}"
    if status in TRANSIENT_STATUSES or status > 504:
        return transient(f"{said}.", field)
    if status in {401, 403}:
        return permanent(
            f"{said}: it needs credentials (headersSecretName), or a signature that has not expired.", field
        )
    return permanent(f"{said}; the file must be readable at this address.", field)


def _explained(error: Exception, url: httpx.URL, field: str) -> StageError:
    """Describe a failure without the library's own message, which may quote what was sent."""
    where = safe_uri(str(url))
    if isinstance(error, AddressRefusedError):
        return StageError.invalid(
            f"{where} leads to an address that inputs may not come from (private, local or reserved). "
            "An administrator can open the host.",
            field,
        )
    certificate = _certificate_failure(error)
    if certificate is not None:
        return permanent(f"The TLS certificate of {where} is not valid: {certificate}.", field)
    if isinstance(error, httpcore.LocalProtocolError):
        return StageError.invalid("The request cannot be sent: a header is not valid.", field)
    if isinstance(error, httpcore.TimeoutException):
        return transient(f"{where} took too long to answer.", field)
    if isinstance(error, httpcore.ConnectError):
        return transient(f"{where} could not be reached.", field)
    if isinstance(error, zlib.error):
        return transient(f"The compressed content from {where} is damaged.", field)
    return transient(f"The connection to {where} broke off.", field)


def _certificate_failure(error: BaseException | None) -> str | None:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def _decompressed(body: Iterator[bytes]) -> Iterator[bytes]:
    """Decompress gzip or deflate in small pieces, so that the size limit stops a decompression bomb early."""
    decoder = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    for piece in body:
        pending = b"" if decoder.eof else piece  # what follows the end is read and dropped, not kept
        while pending and not decoder.eof:
            yield decoder.decompress(pending, PIECE)
            pending = decoder.unconsumed_tail
    yield decoder.flush()
    if not decoder.eof:
        raise zlib.error("the compressed body is incomplete")
