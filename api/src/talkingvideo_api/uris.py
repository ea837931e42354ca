"""URIs of inputs and results."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

CLUSTER_SCHEMES = ("https", "s3", "pvc", "configmap", "data")
"""Schemes that a TalkingVideo in a cluster may use."""

LOCAL_SCHEMES = (*CLUSTER_SCHEMES, "file")
"""Schemes that ``talkingvideo run`` accepts."""

DECLARED_TYPE = re.compile(r"data:[\w.+/-]{0,60}", re.ASCII | re.IGNORECASE)

PLAIN_HOST = re.compile(r"[\w.-]+(:\d*)?|\[[0-9a-fA-F:.]+\](:\d*)?")
"""A host that needs no escapes: what others hide may be a user name and a password."""

HIDDEN_PART = re.compile(r"[?;#]|%(?:3[Ff]|3[Bb]|23)")

MAX_URI = 2_048
MAX_DATA_URI = 184_320


@dataclass(frozen=True)
class ObjectUri:
    """A URI of the form ``scheme://container/path``: bucket and key, claim and path, ConfigMap and key."""

    scheme: str
    container: str
    path: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.container}/{self.path}"

    def child(self, name: str) -> ObjectUri:
        """The URI of a name below this one."""
        return ObjectUri(self.scheme, self.container, f"{self.path.rstrip('/')}/{name}".lstrip("/"))


def parse_object_uri(uri: str) -> ObjectUri:
    """Split ``s3://bucket/key``, ``pvc://claim/path``, ``configmap://name/key`` or ``file:///path``.

    Raises:
        ValueError: When scheme or container is missing, or the path climbs with ``..``.
    """
    scheme, separator, rest = uri.partition("://")
    if not separator or not scheme:
        raise ValueError(f"{uri[:80]!r} is not a URI of the form scheme://…")
    container, _, path = rest.partition("/")
    if not container and scheme != "file":
        raise ValueError(f"{scheme}:// needs a name after it")
    if ".." in path.split("/"):
        raise ValueError("a path in a URI may not contain '..'")
    return ObjectUri(scheme, container, f"/{path}" if scheme == "file" else path)


def scheme_of(uri: str) -> str:
    """The URI's scheme in lower case, or an empty string."""
    scheme, separator, _ = uri.partition(":")
    return scheme.lower() if separator else ""


def safe_uri(uri: str) -> str:
    """The URI as messages may show it: without query (signatures), parameters, fragment, user information and inline data.

    A secret that is part of the path itself cannot be told from a name.
    """
    if declared := DECLARED_TYPE.match(uri):
        return f"{declared[0]},…"
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2]
        plain = bool(PLAIN_HOST.fullmatch(host)) and (parts.port is None or parts.port >= 0)
        unreadable = not plain and not (parts.scheme == "file" and not parts.netloc)
    except ValueError:
        unreadable = True
    if unreadable:
        return f"{scheme_of(uri)[:20]}://…"
    return f"{parts.scheme}://{host}{shown_path(parts.path)}"[:300]


def shown_path(path: str) -> str:
    """A path as messages may show it: without what begins with a question mark, a semicolon or a hash, escaped or not."""
    return HIDDEN_PART.split(path, maxsplit=1)[0]
