"""What may be fetched, from where, and how much of it."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from talkingvideo_api.uris import CLUSTER_SCHEMES


@dataclass(frozen=True)
class FetchPolicy:
    """The administrator's rules for inputs.

    Attributes:
        allowed_schemes: Schemes that an input may have; ``file`` only where the caller is the user (``run``).
        allowed_hosts: Hosts of ``https://`` inputs; ``*.example.com`` means every name below it. Every public host when
            empty.
        open_hosts: Hosts (or ``*.`` patterns) that may resolve to private addresses: in-cluster stores.
        max_bytes: Largest input.
        timeout_seconds: Longest time for one input, retries and redirects included.
        connect_seconds: Longest time to reach one address.
        max_redirects: How often one request may be sent on.
        attempts: How often a fetch is tried when the failure may pass.
        ca_file: Certificates to trust instead of the system's.
    """

    allowed_schemes: tuple[str, ...] = CLUSTER_SCHEMES
    allowed_hosts: tuple[str, ...] = ()
    open_hosts: tuple[str, ...] = ()
    max_bytes: int = 50_000_000
    timeout_seconds: float = 600
    connect_seconds: float = 10
    max_redirects: int = 5
    attempts: int = 4
    ca_file: Path | None = None

    def tls_context(self) -> ssl.SSLContext:
        """Certificates are always verified; TLS 1.2 is the oldest that is spoken."""
        context = ssl.create_default_context(cafile=self.ca_file.as_posix() if self.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def _nothing_mounted() -> Mapping[str, Path]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Mounts:
    """Where volumes of the pod are, by the names that URIs use.

    Attributes:
        claims: PersistentVolumeClaims.
        configmaps: ConfigMaps, one file per key.
    """

    claims: Mapping[str, Path] = field(default_factory=_nothing_mounted)
    configmaps: Mapping[str, Path] = field(default_factory=_nothing_mounted)


@dataclass(frozen=True)
class Fetched:
    """An input that is here now.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Its digest, hexadecimal.
    """

    path: Path
    bytes: int
    sha256: str
