"""Connections to exactly the address that was checked, bounded by a deadline.

This defeats DNS rebinding, where a name resolves to a public address for the check and to a private one for the
connection: the name is resolved once per connection, every address is checked, and the socket is opened to one of these
addresses. TLS and the Host header still use the name.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import httpcore

from talkingvideo_api.hosts import host_matches
from talkingvideo_worker.inputs.addresses import is_open, is_public, parse_address
from talkingvideo_worker.inputs.deadline import Deadline
from talkingvideo_worker.inputs.policy import FetchPolicy

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text. Raises OSError when the name is unknown."""


class AddressRefusedError(Exception):
    """The host has an address that is not allowed for inputs."""


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Resolve with the system's resolver; its own timeouts apply."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class PinnedBackend(httpcore.NetworkBackend):
    """Opens connections to checked addresses only.

    Args:
        policy: Names the open hosts.
        deadline: Of the whole input.
        resolver: Resolves host names.
    """

    def __init__(self, policy: FetchPolicy, deadline: Deadline, resolver: Resolver = system_resolver) -> None:
        self._policy = policy
        self._deadline = deadline
        self._resolver = resolver
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            AddressRefusedError: When any of the host's addresses is not allowed: no legitimate name mixes public and
                private addresses.
        """
        addresses = self._allowed_addresses(host, port)
        failure: Exception = httpcore.ConnectError("the name has no address")
        for address in addresses:
            limit = self._deadline.remaining(timeout)
            try:
                stream = self._sockets.connect_tcp(address, port, limit, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return TimedStream(stream, self._deadline)
        raise failure

    def _allowed_addresses(self, host: str, port: int) -> Sequence[str]:
        allowed = is_open if host_matches(host.lower().rstrip("."), self._policy.open_hosts) else is_public
        try:
            addresses = self._resolver(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("the name could not be resolved") from error
        for address in addresses:
            try:
                parsed = parse_address(address)
            except ValueError as error:
                raise AddressRefusedError from error
            if not allowed(parsed):
                raise AddressRefusedError
        return addresses


class TimedStream(httpcore.NetworkStream):
    """A connection whose every operation ends at the deadline: a server that trickles bytes cannot extend it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Receive up to ``max_bytes``."""
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send the whole buffer."""
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Start TLS; the certificate must be for the name, not for the address."""
        limit = self._deadline.remaining(timeout)
        return TimedStream(self._stream.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """Details of the connection that httpcore asks for."""
        return self._stream.get_extra_info(info)
