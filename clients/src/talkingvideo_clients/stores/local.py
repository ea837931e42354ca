"""A folder as a store: on the user's machine, or on a volume that several pods share."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_clients.stores.base import MAX_READ, FileInfo, ListedFile, MissingFileError, bounded

WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of file systems without hard links: SMB shares, buckets mounted as folders."""

JUST_MADE = 60.0
"""Seconds during which the writer of an empty unfinished file may not have locked it yet."""

UNFINISHED = re.compile(r"\.[0-9a-f]{16}-.*\.part")
"""Names of files that are being written."""


class LocalStore:
    """The files below a folder.

    Args:
        root: The folder; created by the first write.
        base_uri: Beginning of the URIs of its files; ``file://`` and the path when absent.
    """

    def __init__(self, root: Path, base_uri: str | None = None) -> None:
        self._root = root
        self._base_uri = (base_uri or root.resolve().as_uri()).rstrip("/")

    def uri(self, name: str) -> str:
        """See `Store`."""
        return f"{self._base_uri}/{name}"

    def stat(self, name: str) -> FileInfo | None:
        """See `Store`."""
        path = self._root / name
        try:
            with _failures("read", name), path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                return FileInfo(size, hashlib.file_digest(file, "sha256").hexdigest())
        except MissingFileError:
            return None

    def list(self, prefix: str = "") -> Iterator[ListedFile]:
        """See `Store`. Only the folder that the prefix names is searched."""
        with _failures("list", prefix):
            for folder, _, names in os.walk(self._root / prefix.rpartition("/")[0], onerror=_unless_missing):
                for path in (Path(folder, name) for name in names if not UNFINISHED.fullmatch(name)):
                    listed = self._listed(path)
                    if listed is not None and listed.name.startswith(prefix):
                        yield listed

    def _listed(self, path: Path) -> ListedFile | None:
        """The entry of a file; None for one that was deleted meanwhile, and for what is no regular file."""
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        modified = datetime.fromtimestamp(status.st_mtime, UTC)
        return ListedFile(path.relative_to(self._root).as_posix(), status.st_size, modified)

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with _failures("read", name), (self._root / name).open("rb") as file:
            return bounded(file.read(MAX_READ + 1), self.uri(name))

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

    def delete(self, name: str) -> None:
        """See `Store`."""
        with _failures("delete", name):
            (self._root / name).unlink(missing_ok=True)


def _unless_missing(error: OSError) -> None:
    """What does not exist, was deleted meanwhile, or is a file and no folder, contains no files."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _take_name(unfinished: Path, final: Path) -> bool:
    """Give a complete file its name if the name is free: a hard link checks and writes in one step.

    Over NFS the answer to a successful link may be lost, and the repeated request finds the name taken: then the file has
    two names. Without hard links, the second of two simultaneous writers wins; the file is complete in any case.
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
    """Copy a file to disk into the folder of its final name, under a temporary name that is removed at the end.

    The copy is locked while it is written. A killed process leaves an unlocked one, which the next writer of the name
    removes.
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
    """Remove the unfinished files of a name that no process has locked: their writers have ended."""
    for leftover in folder.glob(f"{mark}*.part"):
        with suppress(OSError), leftover.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            status = os.fstat(file.fileno())
            if status.st_size or time.time() - status.st_mtime > JUST_MADE:
                leftover.unlink()


@contextmanager
def _failures(action: str, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if action == "read":
            raise MissingFileError(name) from error
        raise StageError(ErrorCode.WORKSPACE, f"Could not {action} {name}: {error.strerror}") from error
    except OSError as error:
        raise StageError(ErrorCode.WORKSPACE, f"Could not {action} {name}: {error.strerror}") from error
