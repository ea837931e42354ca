"""Hosts of ``https://`` URIs, and the patterns that administrators allow them by."""

from __future__ import annotations

import re
from collections.abc import Iterable

PLAIN_AUTHORITY = re.compile(r"https://([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)\.?(?::[0-9]{1,5})?(?:[/?#]|\Z)")
"""A host of letters, digits, hyphens and dots: there are no two ways to read it."""


def plain_host(uri: str) -> str | None:
    """The host of an https URI in lower case, or None if it is written in a way that programs could read differently."""
    found = PLAIN_AUTHORITY.match(uri)
    return found[1].lower() if found else None


def host_matches(host: str, patterns: Iterable[str]) -> bool:
    """Whether a host matches one of the patterns.

    Args:
        host: Lower case, without a final dot.
        patterns: Exact names, ``*.example.com`` (not example.com itself), or ``*``.
    """
    return any(_matches(host, pattern.lower().rstrip(".")) for pattern in patterns)


def _matches(host: str, pattern: str) -> bool:
    if pattern == "*":
        return True
    if pattern.startswith("*."):
        return host.endswith(pattern[1:]) and host != pattern[1:]
    return host == pattern
