"""No authentication: one caller, on this machine's own addresses."""

from __future__ import annotations

from starlette.requests import HTTPConnection

from talkingvideo_gateway.identity.caller import Caller


class EverybodyIs:
    """Takes everybody for one caller. The command allows it on loopback addresses only.

    Args:
        caller: The caller.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def authenticate(self, connection: HTTPConnection) -> Caller:  # noqa: ARG002
        """See `Authenticator`."""
        return self._caller
