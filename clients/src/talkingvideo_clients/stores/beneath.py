"""Files below a folder that symbolic links cannot lead out of.

An author's own pods may write into the volumes that the project's pods mount, and put links there. A link inside the volume is
followed. The resolved path is then opened step by step without following links, so that a link that is swapped in meanwhile
leads nowhere.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePath

FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
"""With O_PATH (Linux), a folder that may be passed through need not be readable."""


class LeadsOutError(OSError):
    """A path leads out of its folder, through a symbolic link or by ``..``."""

    def __init__(self) -> None:
        super().__init__(errno.ELOOP, "a symbolic link leads out of the volume")


class NotARegularFileError(OSError):
    """The path is a folder, a device, a pipe or a socket."""

    def __init__(self) -> None:
        super().__init__(errno.EINVAL, "it is not a file but a folder, a device or a pipe")


def open_folder(boundary: Path, path: PurePath, *, create: bool = False) -> int:
    """Open a folder.

    Args:
        boundary: The folder that the path may not leave.
        path: Relative to it, or absolute and below it.
        create: Whether missing folders are made, the boundary included.

    Returns:
        A file descriptor for the functions of `os` that take ``dir_fd``. `readable` makes one that can be listed.

    Raises:
        LeadsOutError: The path leaves the boundary.
        OSError: The folder does not exist or cannot be opened.
    """
    if create:
        boundary.mkdir(parents=True, exist_ok=True)
    return _descend(*_resolved(boundary, path), create=create)


def _descend(root: Path, inside: PurePath, *, create: bool) -> int:
    folder = os.open(root, FOLDER)
    for name in inside.parts:
        try:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, dir_fd=folder)
            below = os.open(name, FOLDER, dir_fd=folder)
        finally:
            os.close(folder)
        folder = below
    return folder


def readable(folder: int) -> int:
    """Open an opened folder again, to list it."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)


def open_file(boundary: Path, path: PurePath) -> int:
    """Open a regular file for reading; links that stay below the boundary are followed.

    Raises:
        LeadsOutError: The path leaves the boundary.
        NotARegularFileError: It is no file.
        OSError: It does not exist or cannot be opened.
    """
    return open_plain(*_resolved(boundary, path))


def open_plain(root: Path, inside: PurePath) -> int:
    """Open a regular file for reading, step by step without following links.

    Its type is checked before it is opened, since opening a device may have effects, and again afterwards, since the file
    may have been replaced. ``O_NONBLOCK``: opening a pipe would wait for its other end.

    Args:
        root: A folder, which is trusted.
        inside: Path below it, without ``..``.

    Raises:
        NotARegularFileError: It is no file.
        OSError: It does not exist or cannot be opened; ELOOP or ENOTDIR where a part of the path is a link.
    """
    folder = _descend(root, inside.parent, create=False)
    try:
        name = inside.name or "."
        _require_regular(os.stat(name, dir_fd=folder, follow_symlinks=False))
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _require_regular(os.fstat(descriptor))
    except NotARegularFileError:
        os.close(descriptor)
        raise
    return descriptor


def _resolved(boundary: Path, path: PurePath) -> tuple[Path, Path]:
    """The boundary, and the path relative to it, without links."""
    try:
        root = boundary.resolve()
        return root, (boundary / path).resolve().relative_to(root)
    except ValueError:
        raise LeadsOutError from None
    except RuntimeError:  # of Python before 3.13, for links in a circle
        raise _too_many_links() from None


def _require_regular(status: os.stat_result) -> None:
    """Refuse all but files. A link that is left after all were resolved is one of a circle, or new."""
    if stat.S_ISLNK(status.st_mode):
        raise _too_many_links()
    if not stat.S_ISREG(status.st_mode):
        raise NotARegularFileError


def _too_many_links() -> OSError:
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP))
