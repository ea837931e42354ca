"""No authentication: one caller, on this machine's own addresses."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from talkingvideo_gateway.errors import ForbiddenError
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.origins import Origins


class EverybodyIs:
    """Takes everybody for one caller. The command allows it on loopback addresses only.

    Other people's pages, open in a browser of this machine, reach loopback, too. Those that send requests are told by their
    origin; those whose own name leads here (DNS rebinding) by the name in the address.

    Args:
        caller: The caller.
        origins: Tells whose page has sent a request.
    """

    def __init__(self, caller: Caller, origins: Origins | None = None) -> None:
        self._caller = caller
        self._origins = origins or Origins()

    async def authenticate(self, connection: HTTPConnection) -> Caller:
        """See `Authenticator`."""
        host = connection.headers.get("host", "")
        if not (_is_local(host) or self._origins.is_public_host(host)):
            raise ForbiddenError(f"The address is not this machine's: {host[:80]}. Set publicUrl to use another name.")
        self._origins.refuse_foreign(connection)
        return self._caller


def _is_local(host: str) -> bool:
    """Whether an address names this machine: a name that nobody else can give an address, or an address itself."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ipaddress.ip_address(name))
    except ValueError:
        return False
