"""The page's files, as they are served.

There is no build step: browsers load the modules as they are in the repository. All of them have the digest of all of them
in their address, so they can be cached for ever, and a new release is never mixed with an old one.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

INDEX = "index.html"
PREFIX = "/page"
PLACEHOLDER = b"{{assets}}"
"""Where the index names the folder of the other files."""

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Asset:
    """A file.

    Attributes:
        content: Its bytes.
        zipped: The same, compressed with gzip.
        media_type: By its name.
    """

    content: bytes
    zipped: bytes
    media_type: str


@dataclass(frozen=True)
class Page:
    """All files.

    Attributes:
        digest: Of all of them.
        index: What ``/`` answers.
        assets: The others by their paths, such as ``vendor/pico.css``.
    """

    digest: str
    index: Asset
    assets: Mapping[str, Asset]


def load() -> Page:
    """Read the files of this package."""
    contents = dict(_read(files(__package__) / "static", ""))
    digest = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:16]
    index = contents.pop(INDEX).replace(PLACEHOLDER, f"{PREFIX}/{digest}".encode())
    assets = {path: _asset(path, content) for path, content in contents.items() if _suffix(path) in MEDIA_TYPES}
    return Page(digest, _asset(INDEX, index), assets)


def _read(folder: Traversable, path: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for entry in folder.iterdir():
        name = f"{path}{entry.name}"
        found += _read(entry, f"{name}/") if entry.is_dir() else [(name, entry.read_bytes())]
    return found


def _asset(path: str, content: bytes) -> Asset:
    return Asset(content, gzip.compress(content, mtime=0), MEDIA_TYPES[_suffix(path)])


def _suffix(path: str) -> str:
    return path[path.rfind(".") :]
