"""The page's login: a cookie that holds the token, signed, out of reach of scripts.

It is the token itself, so that a session ends with it: it is checked at each request like one in a header.
"""

from __future__ import annotations

from itsdangerous import BadSignature, URLSafeTimedSerializer
from starlette.requests import HTTPConnection
from starlette.responses import Response

from talkingvideo_gateway.errors import InvalidRequestError

LONGEST_TOKEN = 2_800
"""Characters: browsers keep cookies of up to 4,096 bytes, and this one is in base64 and signed."""


class Sessions:
    """Makes and reads session cookies.

    Args:
        key: Secret that signs; replicas share it.
        hours: How long a session works.
        public_url: Address under which browsers reach the gateway; https there makes the cookie one for https only.
    """

    def __init__(self, key: str, hours: float, public_url: str = "") -> None:
        self._serializer = URLSafeTimedSerializer(key, salt="session")
        self._seconds = int(hours * 3_600)
        self._public_https = public_url.startswith("https://")

    def open(self, connection: HTTPConnection, response: Response, token: str) -> None:
        """Begin a session in a response.

        Raises:
            InvalidRequestError: The token is too long for a cookie.
        """
        if len(token) > LONGEST_TOKEN:
            raise InvalidRequestError(f"A token of more than {LONGEST_TOKEN} characters is too long for a session.")
        self._set(connection, response, str(self._serializer.dumps(token)), self._seconds)

    def close(self, connection: HTTPConnection, response: Response) -> None:
        """End a session in a response."""
        self._set(connection, response, "", 0)

    def token_of(self, connection: HTTPConnection) -> str | None:
        """The token of a request's session; None without one, or where it is over or not of this gateway."""
        cookie = connection.cookies.get(self._name(connection))
        if not cookie:
            return None
        try:
            token = self._serializer.loads(cookie, max_age=self._seconds)
        except BadSignature:
            return None
        return token if isinstance(token, str) else None

    def _set(self, connection: HTTPConnection, response: Response, value: str, seconds: int) -> None:
        response.set_cookie(
            self._name(connection),
            value,
            max_age=seconds,
            path="/",
            secure=self._is_https(connection),
            httponly=True,
            samesite="strict",
        )

    def _name(self, connection: HTTPConnection) -> str:
        """Browsers keep a __Host- cookie only if it is secure and of this host alone: no neighbour can set it."""
        return "__Host-talkingvideo" if self._is_https(connection) else "talkingvideo"

    def _is_https(self, connection: HTTPConnection) -> bool:
        return self._public_https or connection.url.scheme in ("https", "wss")
