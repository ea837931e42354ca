"""Users whom a proxy in front has authenticated."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from starlette.requests import HTTPConnection

from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.identity.labels import label_of
from talkingvideo_gateway.identity.settings import ProxyHeaders


class ProxyUsers:
    """Believes the header of connections that come from the proxy itself.

    Args:
        settings: The proxy.
        default: Namespace, profile and limits.
    """

    def __init__(self, settings: ProxyHeaders, default: Caller) -> None:
        self._settings = settings
        self._default = replace(
            default,
            namespace=settings.namespace or default.namespace,
            profile=settings.profile or default.profile,
        )

    def caller_of(self, connection: HTTPConnection) -> Caller | None:
        """The user whom the proxy names; None where another sends, or it names nobody or two."""
        users = connection.headers.getlist(self._settings.user_header)
        if not self._is_proxy(connection) or len(users) != 1 or not users[0].strip():
            return None
        return replace(self._default, name=label_of(f"proxy:{users[0].strip()}"))

    def _is_proxy(self, connection: HTTPConnection) -> bool:
        try:
            address = ipaddress.ip_address(connection.client.host if connection.client else "")
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._settings.addresses)
