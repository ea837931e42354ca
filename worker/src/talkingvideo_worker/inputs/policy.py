"""The rules for inputs: from where, how large, how long."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.uris import CLUSTER_SCHEMES


@dataclass(frozen=True)
class FetchPolicy:
    """The administrator's rules for inputs.

    Attributes:
        allowed_schemes: Schemes of inputs; ``file`` only in a local run, whose user could read the file anyway.
        allowed_hosts: Hosts of ``https://`` inputs; ``*.example.com`` matches every name below it. All public hosts when
            empty.
        open_hosts: Hosts (or ``*.`` patterns) that may resolve to private addresses, such as in-cluster stores.
        header_hosts: Hosts (or ``*.`` patterns, or ``*``) that may receive the headers of a Secret. None when empty.
        max_bytes: Largest input.
        timeout_seconds: Longest time for one input, retries and redirects included.
        connect_seconds: Longest time to connect to one address.
        max_redirects: Most redirects of one request.
        attempts: Most attempts at an input whose failures are transient.
        ca_file: Certificates to trust instead of the system's.
    """

    allowed_schemes: tuple[str, ...] = CLUSTER_SCHEMES
    allowed_hosts: tuple[str, ...] = ()
    open_hosts: tuple[str, ...] = ()
    header_hosts: tuple[str, ...] = ()
    max_bytes: int = 50_000_000
    timeout_seconds: float = 600
    connect_seconds: float = 10
    max_redirects: int = 5
    attempts: int = 4
    ca_file: Path | None = None

    def tls_context(self) -> ssl.SSLContext:
        """TLS settings: certificates are always verified, and TLS 1.2 is the oldest version."""
        context = ssl.create_default_context(cafile=self.ca_file.as_posix() if self.ca_file else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


@dataclass(frozen=True)
class Fetched:
    """An input that was fetched.

    Attributes:
        path: The file.
        bytes: Size.
        sha256: Digest of the content, hexadecimal.
    """

    path: Path
    bytes: int
    sha256: str
