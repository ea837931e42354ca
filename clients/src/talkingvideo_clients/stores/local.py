"""A folder as a store: on the user's machine, or a volume that several pods share."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_clients.stores.base import MissingFileError, Stored

WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What file systems say that have no hard links: SMB shares, buckets mounted as folders."""

JUST_MADE = 60.0
"""Seconds during which an unfinished file that is still empty may be one whose writer has not locked it yet."""


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
        try:
            with _failures("read", name), path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                return Stored(size, hashlib.file_digest(file, "sha256").hexdigest())
        except MissingFileError:
            return None

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with _failures("read", name):
            return (self._root / name).read_bytes()

    def get(self, name: str, destination: Path) -> None:
        """See `Store`."""
        with _failures("read", name), _copied_beside(self._root / name, destination) as unfinished:
            unfinished.replace(destination)

    def put(self, name: str, source: Path) -> None:
        """See `Store`."""
        final = self._root / name
        with _failures("write", name), _copied_beside(source, final) as unfinished:
            unfinished.replace(final)

    def put_new(self, name: str, source: Path) -> bool:
        """See `Store`."""
        final = self._root / name
        with _failures("write", name):
            if final.exists():
                return False
            with _copied_beside(source, final) as unfinished:
                return _take_name(unfinished, final)

    def remove(self, name: str) -> None:
        """See `Store`."""
        with _failures("remove", name):
            (self._root / name).unlink(missing_ok=True)


def _take_name(unfinished: Path, final: Path) -> bool:
    """Give a complete file its name if that is free: a hard link does both at once.

    Over NFS the answer to a link that was made may be lost, and the request sent again finds the name taken: then the
    file has two names. Where there are no hard links, of two writers in the same instant the second wins; whole files
    they are all the same.
    """
    try:
        os.link(unfinished, final)
    except FileExistsError:
        return unfinished.stat().st_nlink == 2
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if final.exists():
            return False
        unfinished.replace(final)
    return True


@contextmanager
def _copied_beside(source: Path, final: Path) -> Iterator[Path]:
    """A copy on disk in the folder of its final name, under a name of its own; nothing is left there.

    It is locked while it is written: what a killed process left is not, and is removed by the next writer of the name.
    """
    with source.open("rb") as reading:
        final.parent.mkdir(parents=True, exist_ok=True)
        mark = f".{hashlib.sha256(final.name.encode()).hexdigest()[:16]}-"
        _sweep(final.parent, mark)
        descriptor, name = tempfile.mkstemp(prefix=mark, suffix=".part", dir=final.parent)
        unfinished = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as writing:
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.fchmod(descriptor, 0o644)
                shutil.copyfileobj(reading, writing, 1 << 20)
                writing.flush()
                os.fsync(descriptor)
                yield unfinished
        finally:
            unfinished.unlink(missing_ok=True)


def _sweep(folder: Path, mark: str) -> None:
    """Remove a name's unfinished files whose writer is gone: nobody holds their lock."""
    for leftover in folder.glob(f"{mark}*.part"):
        with suppress(OSError), leftover.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(file.fileno())
            if status.st_size or time.time() - status.st_mtime > JUST_MADE:
                leftover.unlink()


@contextmanager
def _failures(doing: str, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if doing == "read":
            raise MissingFileError(name) from error
        raise StageError(ErrorCode.WORKSPACE, f"Could not {doing} {name}: {error.strerror}") from error
    except OSError as error:
        raise StageError(ErrorCode.WORKSPACE, f"Could not {doing} {name}: {error.strerror}") from error
