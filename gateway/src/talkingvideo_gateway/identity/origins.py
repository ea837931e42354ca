"""Whose page has sent a request: for credentials that a browser adds by itself."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from talkingvideo_gateway.errors import ForbiddenError

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


class Origins:
    """Compares a request's origin with the gateway's own.

    Browsers state the origin of every request that may change something, and of every WebSocket; pages cannot change it.

    Args:
        public_url: Address under which browsers reach the gateway, where it differs from the requests' own.
    """

    def __init__(self, public_url: str = "") -> None:
        self._public = urlsplit(public_url).netloc

    def is_public_host(self, host: str) -> bool:
        """Whether a Host header is that of the public address."""
        return bool(self._public) and host == self._public

    def refuse_foreign(self, connection: HTTPConnection) -> None:
        """Refuse what another page has sent. A program that states no origin is no page.

        Raises:
            ForbiddenError: Another page has sent it.
        """
        if _changes_something(connection) and self._is_own(connection) is False:
            raise ForbiddenError("Another site's page has sent this request.")

    def require_own(self, connection: HTTPConnection) -> None:
        """Refuse what the gateway's own page has not sent.

        Raises:
            ForbiddenError: Another page has sent it, or nobody says which.
        """
        if _changes_something(connection) and not self._is_own(connection):
            raise ForbiddenError("With a session, requests come from the gateway's own page; programs send a token.")

    def _is_own(self, connection: HTTPConnection) -> bool | None:
        """Whether the own page has sent it; None where nothing is said.

        The scheme is not compared: behind a proxy that ends TLS it differs.
        """
        origin = connection.headers.get("origin")
        if origin is not None:
            return _netloc(origin) in {connection.headers.get("host"), self._public} - {"", None}
        site = connection.headers.get("sec-fetch-site")
        return None if site is None else site in ("same-origin", "none")


def _netloc(origin: str) -> str:
    """Name and port; empty for what is no address."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return ""


def _changes_something(connection: HTTPConnection) -> bool:
    return connection.scope["type"] == "websocket" or connection.scope["method"] not in SAFE_METHODS
