"""Uploads and results in a folder of this machine."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.backend import MediaFile, StoredInput

PIECE = 1 << 20
UNFINISHED = ".part"
SHA256 = re.compile("[0-9a-f]{64}")


class LocalMedia:
    """Implements `Media`.

    Args:
        uploads: Folder of inputs; namespaces and callers have folders of their own.
        results: Folder outside of which no result is opened or deleted.
    """

    def __init__(self, uploads: Path, results: Path) -> None:
        self._uploads = uploads.resolve()
        self._results = results.resolve()

    @property
    def schemes(self) -> frozenset[str]:
        """See `Media`. Files and buckets of this machine's user are no business of whoever sends requests."""
        return frozenset({"https", "http", "data"})

    def may_name(self, caller: Caller, uri: str) -> bool:  # noqa: ARG002
        """See `Media`. None of the schemes leads to a file of this machine."""
        return True

    async def save(self, namespace: str, caller: str, name: str, content: BinaryIO) -> str:
        """See `Media`."""
        return (await asyncio.to_thread(_write, self._folder(namespace, caller), name, content)).as_uri()

    async def find(self, namespace: str, caller: str, name: str) -> StoredInput | None:
        """See `Media`."""
        path = self._folder(namespace, caller) / name
        if not path.is_file():
            return None
        os.utime(path)
        return StoredInput(path.as_uri(), file_of(path))

    async def names(self, namespace: str, caller: str, prefix: str) -> Sequence[str]:
        """See `Media`."""
        folder = self._folder(namespace, caller)
        return sorted(path.name for path in folder.iterdir() if path.name.startswith(prefix)) if folder.is_dir() else []

    async def forget(self, namespace: str, caller: str, name: str) -> None:
        """See `Media`."""
        (self._folder(namespace, caller) / name).unlink(missing_ok=True)

    async def open(self, namespace: str, uri: str) -> MediaFile | None:
        """See `Media`."""
        path = self._result(namespace, uri)
        return None if path is None or not path.is_file() else file_of(path)

    async def link(self, namespace: str, uri: str, seconds: int, file_name: str) -> str | None:  # noqa: ARG002
        """See `Media`."""
        return None

    async def delete(self, namespace: str, uri: str) -> None:
        """See `Media`."""
        if (path := self._result(namespace, uri)) is not None:
            path.unlink(missing_ok=True)

    def delete_unnamed(self, is_named: Callable[[str], bool], before: float) -> None:
        """Delete inputs that nothing names, and what was never stored as a whole. Announced uploads have an end of their own.

        Args:
            is_named: Whether a video names a URI.
            before: Only what was stored or looked for before, in seconds since 1970: a request may be about to name it.
        """
        for path in self._uploads.glob("*/*/*"):
            known = SHA256.fullmatch(path.name) is not None or path.suffix == UNFINISHED
            if known and path.stat().st_mtime < before and not is_named(path.as_uri()):
                path.unlink(missing_ok=True)

    def _folder(self, namespace: str, caller: str) -> Path:
        return self._uploads / namespace / (caller or "-")

    def _result(self, namespace: str, uri: str) -> Path | None:
        parts = urlsplit(uri)
        if parts.scheme != "file":
            return None
        path = Path(url2pathname(parts.path)).resolve()
        return path if path.is_relative_to(self._results / namespace) else None


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path

    async def __call__(self, start: int, stop: int) -> AsyncIterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(start)
            while start < stop and (piece := await asyncio.to_thread(file.read, min(PIECE, stop - start))):
                start += len(piece)
                yield piece


def file_of(path: Path) -> MediaFile:
    """A file as it can be sent."""
    found = path.stat()
    return MediaFile(found.st_size, f"{found.st_mtime_ns:x}-{found.st_size:x}", _Reader(path))


def _write(folder: Path, name: str, content: BinaryIO) -> Path:
    """Store under the name, which is a digest: what is there already has this content."""
    folder.mkdir(parents=True, exist_ok=True)
    final = folder / name
    if final.exists():
        os.utime(final)
    else:
        unfinished = folder / f".{secrets.token_hex(8)}{UNFINISHED}"
        try:
            with unfinished.open("xb") as file:
                shutil.copyfileobj(content, file, PIECE)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(final)
        finally:
            unfinished.unlink(missing_ok=True)
    return final
