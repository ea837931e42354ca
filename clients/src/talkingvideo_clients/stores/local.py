"""A folder as a store: on the user's machine, or on a volume that several pods share."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Protocol

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_clients.stores.base import MAX_READ, Budget, FileInfo, ListedFile, MissingFileError
from talkingvideo_clients.stores.beneath import LeadsOutError, open_file, open_folder, readable

WITHOUT_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""Errors of file systems without hard links: SMB shares, buckets mounted as folders."""

MAX_DIGESTED = 64 << 30
"""Bytes of a file whose digest is computed: a file of nothing but a hole may say that it has exabytes."""

JUST_MADE = 60.0
"""Seconds during which the writer of an empty unfinished file may not have locked it yet."""

UNFINISHED = re.compile(r"\.[0-9a-f]{16}-.*\.part")
"""Names of files that are being written."""


class Readable(Protocol):
    """What can be copied."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes."""
        ...


class Metered:
    """A file of which only so much can be read."""

    def __init__(self, file: Readable, budget: Budget) -> None:
        self._file = file
        self._budget = budget

    def read(self, size: int = -1, /) -> bytes:
        """Read at most so many bytes."""
        piece = self._file.read(size)
        self._budget.spend(len(piece))
        return piece


class LocalStore:
    """The files below a folder.

    Args:
        root: The folder; created by the first write.
        base_uri: Beginning of the URIs of its files; ``file://`` and the path when absent.
        boundary: The folder that symbolic links may not lead out of: the mount of a volume, into which others may have
            written them. The root when absent.
    """

    def __init__(self, root: Path, base_uri: str | None = None, boundary: Path | None = None) -> None:
        self._root = root
        self._base_uri = (base_uri or root.resolve().as_uri()).rstrip("/")
        self._boundary = boundary or root

    def uri(self, name: str) -> str:
        """See `Store`."""
        return f"{self._base_uri}/{name}"

    def stat(self, name: str) -> FileInfo | None:
        """See `Store`."""
        try:
            with _failures("read", name), self._reading(name) as file:
                size = os.fstat(file.fileno()).st_size
                return FileInfo(size, None if size > MAX_DIGESTED else hashlib.file_digest(file, "sha256").hexdigest())
        except MissingFileError:
            return None

    def list(self, prefix: str = "") -> Iterator[ListedFile]:
        """See `Store`. Only the folder that the prefix names is searched, and links in it are no files."""
        begin = PurePosixPath(prefix.rpartition("/")[0])
        with _failures("list", prefix):
            try:
                top = open_folder(self._boundary, self._root / begin)
            except OSError as error:
                _unless_missing(error)
                return
            try:
                for folder, _, names, opened in os.fwalk(dir_fd=top, onerror=_unless_missing):
                    for name in (name for name in names if not UNFINISHED.fullmatch(name)):
                        listed = _listed(opened, name, str(begin / folder / name))
                        if listed is not None and listed.name.startswith(prefix):
                            yield listed
            finally:
                os.close(top)

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with _failures("read", name), self._reading(name) as file:
            content = file.read(MAX_READ + 1)
        Budget(self.uri(name), MAX_READ).spend(len(content))
        return content

    def get(self, name: str, destination: Path, limit: int) -> None:
        """See `Store`."""
        with _failures("read", name), self._reading(name) as file:
            destination.parent.mkdir(parents=True, exist_ok=True)
            folder = os.open(destination.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                with _copied_into(folder, destination.name, Metered(file, Budget(self.uri(name), limit))) as unfinished:
                    _replace(unfinished, destination.name, folder)
            finally:
                os.close(folder)

    def put(self, name: str, source: Path) -> None:
        """See `Store`."""
        with (
            _failures("write", name),
            source.open("rb") as file,
            self._writing(name) as (folder, final),
            _copied_into(folder, final, file) as unfinished,
        ):
            _replace(unfinished, final, folder)

    def put_new(self, name: str, source: Path) -> bool:
        """See `Store`."""
        with _failures("write", name), source.open("rb") as file, self._writing(name) as (folder, final):
            if _exists(final, folder):
                return False
            with _copied_into(folder, final, file) as unfinished:
                return _take_name(unfinished, final, folder)

    def delete(self, name: str) -> None:
        """See `Store`."""
        path = self._root / name
        with _failures("delete", name), suppress(FileNotFoundError):
            folder = open_folder(self._boundary, path.parent)
            try:
                os.unlink(path.name, dir_fd=folder)
            finally:
                os.close(folder)

    @contextmanager
    def _reading(self, name: str) -> Iterator[BufferedReader]:
        with os.fdopen(open_file(self._boundary, self._root / name), "rb") as file:
            yield file

    @contextmanager
    def _writing(self, name: str) -> Iterator[tuple[int, str]]:
        """The opened folder of a file, which is created if it is missing, and the file's name in it."""
        path = self._root / name
        folder = open_folder(self._boundary, path.parent, create=True)
        try:
            yield folder, path.name
        finally:
            os.close(folder)


def _listed(folder: int, name: str, shown: str) -> ListedFile | None:
    """The entry of a file; None for one that was deleted meanwhile, and for what is no regular file."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return ListedFile(shown, status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))


def _unless_missing(error: OSError) -> None:
    """What does not exist, was deleted meanwhile, or is a file and no folder, contains no files."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _replace(unfinished: str, final: str, folder: int) -> None:
    os.replace(unfinished, final, src_dir_fd=folder, dst_dir_fd=folder)


def _take_name(unfinished: str, final: str, folder: int) -> bool:
    """Give a complete file its name if the name is free: a hard link checks and writes in one step.

    Over NFS the answer to a successful link may be lost, and the repeated request finds the name taken: then the file has
    two names. Without hard links, the second of two simultaneous writers wins; the file is complete in any case.
    """
    try:
        os.link(unfinished, final, src_dir_fd=folder, dst_dir_fd=folder)
    except FileExistsError:
        return os.stat(unfinished, dir_fd=folder).st_nlink == 2
    except OSError as error:
        if error.errno not in WITHOUT_LINKS:
            raise
        if _exists(final, folder):
            return False
        _replace(unfinished, final, folder)
    return True


@contextmanager
def _copied_into(folder: int, final: str, reading: Readable) -> Iterator[str]:
    """Copy a file to disk into the folder of its final name, under a temporary name that is removed at the end.

    The copy is locked while it is written. A killed process leaves an unlocked one, which the next writer of the name
    removes.
    """
    mark = f".{hashlib.sha256(final.encode()).hexdigest()[:16]}-"
    _sweep(folder, mark)
    unfinished = f"{mark}{secrets.token_hex(8)}.part"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(unfinished, flags, 0o600, dir_fd=folder)
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
        with suppress(FileNotFoundError):
            os.unlink(unfinished, dir_fd=folder)


def _sweep(folder: int, mark: str) -> None:
    """Remove the unfinished files of a name that no process has locked: their writers have ended."""
    with suppress(OSError):
        listing = readable(folder)
        try:
            with os.scandir(listing) as entries:
                names = (entry.name for entry in entries)
                leftovers = [name for name in names if name.startswith(mark) and name.endswith(".part")]
        finally:
            os.close(listing)
        for leftover in leftovers:
            with suppress(OSError):
                _remove_if_left(leftover, folder)


def _remove_if_left(leftover: str, folder: int) -> None:
    descriptor = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        status = os.fstat(file.fileno())
        if status.st_size or time.time() - status.st_mtime > JUST_MADE:
            os.unlink(leftover, dir_fd=folder)


@contextmanager
def _failures(action: str, name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        if action == "read":
            raise MissingFileError(name) from error
        raise StageError(ErrorCode.WORKSPACE, f"Could not {action} {name}: {error.strerror}") from error
    except LeadsOutError as error:
        raise StageError.invalid(f"Could not {action} {name}: {error.strerror}; remove the link.") from error
    except OSError as error:
        raise StageError(ErrorCode.WORKSPACE, f"Could not {action} {name}: {error.strerror}") from error
