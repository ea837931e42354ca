"""A folder as a store: on the user's machine, or a volume that several pods share."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.stores.base import MissingFileError, Stored


class LocalStore:
    """Files below a folder.

    Args:
        root: The folder; made when something is written.
        base_uri: What URIs of its files begin with; ``file://`` and the path when absent.
    """

    def __init__(self, root: Path, base_uri: str | None = None) -> None:
        self._root = root
        self._base_uri = (base_uri or root.resolve().as_uri()).rstrip("/")

    def uri(self, name: str) -> str:
        """See `Store`."""
        return f"{self._base_uri}/{name}"

    def stat(self, name: str) -> Stored | None:
        """See `Store`."""
        path = self._root / name
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return Stored(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with _failures("read", name):
            return (self._root / name).read_bytes()

    def get(self, name: str, destination: Path) -> None:
        """See `Store`."""
        with _failures("read", name), _beside(destination) as unfinished:
            shutil.copyfile(self._root / name, unfinished)
            unfinished.replace(destination)

    def put(self, name: str, source: Path) -> None:
        """See `Store`."""
        final = self._root / name
        with _failures("write", name), _copied_beside(source, final) as unfinished:
            unfinished.replace(final)

    def put_new(self, name: str, source: Path) -> bool:
        """See `Store`. A hard link takes a name only if it is free, also on network file systems."""
        final = self._root / name
        if final.exists():
            return False
        with _failures("write", name), _copied_beside(source, final) as unfinished:
            try:
                os.link(unfinished, final)
            except FileExistsError:
                return False
        return True


@contextmanager
def _beside(final: Path) -> Iterator[Path]:
    """A name for an unfinished file in the folder of the final one; nothing is left there."""
    final.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{final.name}.", suffix=".part", dir=final.parent)
    os.close(handle)
    unfinished = Path(name)
    unfinished.chmod(0o644)
    try:
        yield unfinished
    finally:
        unfinished.unlink(missing_ok=True)


@contextmanager
def _copied_beside(source: Path, final: Path) -> Iterator[Path]:
    with _beside(final) as unfinished:
        with source.open("rb") as reading, unfinished.open("wb") as writing:
            shutil.copyfileobj(reading, writing, 1 << 20)
            writing.flush()
            os.fsync(writing.fileno())
        yield unfinished


@contextmanager
def _failures(doing: str, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if doing == "read":
            raise MissingFileError(name) from error
        raise StageError(ErrorCode.WORKSPACE, f"Could not write {name}: {error.strerror}") from error
    except OSError as error:
        raise StageError(ErrorCode.WORKSPACE, f"Could not {doing} {name}: {error.strerror}") from error
