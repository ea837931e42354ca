"""Who sends a request: by a token in the header, a session, or what a proxy says, in this order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from starlette.requests import HTTPConnection

from talkingvideo_gateway.errors import UnauthenticatedError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.proxy import ProxyUsers
from talkingvideo_gateway.identity.session import Sessions


class TokenSource(Protocol):
    """Knows callers by tokens of one kind."""

    async def by_key(self, key: str) -> Caller | None:
        """The caller whose token it is; None where it is none of these."""
        ...


class Credentials:
    """Implements `Authenticator`.

    Args:
        sources: Who knows tokens; the first one that knows a token decides.
        sessions: The page's logins.
        proxy: An authenticating proxy, where there is one.
        origins: Tells whose page has sent a request.
    """

    def __init__(
        self, sources: Sequence[TokenSource], sessions: Sessions, proxy: ProxyUsers | None, origins: Origins
    ) -> None:
        self._sources = sources
        self._sessions = sessions
        self._proxy = proxy
        self._origins = origins

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        """See `Authenticator`. A wrong token in the header is refused, whatever else the request has."""
        if (key := header_key(connection)) is not None:
            return await self._by_key(key)
        if (key := self._sessions.token_of(connection)) is not None:
            self._origins.require_own(connection)
            return await self._by_key(key)
        if self._proxy is not None and (caller := self._proxy.caller_of(connection)) is not None:
            self._origins.refuse_foreign(connection)
            return caller
        raise UnauthenticatedError("Send a token: Authorization: Bearer TOKEN.")

    async def _by_key(self, key: str) -> Caller:
        for source in self._sources:
            if (caller := await source.by_key(key)) is not None:
                return caller
        raise UnauthenticatedError("Nobody has this token.")


def header_key(connection: HTTPConnection) -> str | None:
    """The token of the Authorization header: ``Bearer KEY``, as OpenAI's clients send it, or ``KEY`` alone, as RunPod's do.

    Raises:
        UnauthenticatedError: It has another scheme, or two headers contradict each other.
    """
    values = connection.headers.getlist("authorization")
    if not values:
        return None
    if len(values) > 1:
        raise UnauthenticatedError("There is more than one Authorization header.")
    scheme, _, rest = values[0].strip().partition(" ")
    if not rest:
        return scheme
    if scheme.lower() != "bearer":
        raise UnauthenticatedError("The Authorization header has another scheme; send Authorization: Bearer TOKEN.")
    return rest.strip()
