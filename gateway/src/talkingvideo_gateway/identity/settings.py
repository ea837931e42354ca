"""How callers are told apart, as the administrator says."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, IPvAnyNetwork, StringConstraints, model_validator

from talkingvideo_api.model import Model
from talkingvideo_api.names import DNS_SUBDOMAIN
from talkingvideo_gateway.identity.caller import CallerLimits

Namespace = Annotated[str, StringConstraints(pattern=DNS_SUBDOMAIN, max_length=63)]
Token = Annotated[str, StringConstraints(min_length=16, max_length=3_000, pattern=r"^[\x21-\x7e]+$")]


class KubernetesTokens(Model):
    """Tokens that Kubernetes knows. What their users may do with TalkingVideos in Kubernetes, they may do here."""

    audiences: tuple[str, ...] = ()
    """Audiences that a token must have at least one of. Those of the API server if empty."""
    seconds: Annotated[float, Field(ge=0, le=300)] = 10
    """How long the API server's answers about a token and its rights are used again."""


class ProxyHeaders(Model):
    """A proxy that has authenticated the user, such as oauth2-proxy, and says so in a header."""

    addresses: Annotated[tuple[IPvAnyNetwork, ...], Field(min_length=1)]
    """Addresses of the proxy, as CIDR. From everybody else the header is ignored. Whoever can send from such an address can be
    anybody: let a NetworkPolicy admit the proxy only."""
    user_header: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$")] = "X-Forwarded-User"
    """Header with the user's name."""
    namespace: Namespace | None = None
    """Namespace of its users. Defaults to `namespace`."""
    profile: str | None = None
    """Profile of its users. Defaults to the operator's default."""


class Authentication(Model):
    """Ways to authenticate. Without any, the gateway listens on loopback only."""

    tokens: Path | None = None
    """Folder with a file for each caller, such as a mounted Secret. The file's name is the caller's. Its content is the token, or
    YAML: token or tokenSha256 (hexadecimal), namespace, profile, limits, seesNamespace."""
    kubernetes: KubernetesTokens | None = None
    """Tokens that Kubernetes knows."""
    proxy: ProxyHeaders | None = None
    """Headers of an authenticating proxy."""
    session_hours: Annotated[float, Field(gt=0, le=720)] = 12
    """How long a login to the page works. The token is checked at each request nevertheless."""

    @property
    def is_configured(self) -> bool:
        """Whether there is any way."""
        return not (self.tokens is None and self.kubernetes is None and self.proxy is None)


class TokenFile(Model):
    """A caller's file."""

    token: Token | None = None
    """The token."""
    token_sha256: Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")] | None = None
    """Digest of the token, where it shall not be readable."""
    namespace: Namespace | None = None
    """Namespace of the caller's videos. Defaults to the gateway's."""
    profile: str | None = None
    """Profile of its videos. Defaults to the operator's default."""
    limits: CallerLimits | None = None
    """Limits. Default to the gateway's."""
    sees_namespace: bool = False
    """Whether it sees every video of the namespace, and may name files of the namespace."""

    @model_validator(mode="after")
    def _exactly_one(self) -> TokenFile:
        if (self.token is None) == (self.token_sha256 is None):
            raise ValueError("exactly one of token and tokenSha256 is needed")
        return self
