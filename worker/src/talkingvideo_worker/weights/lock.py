"""What all commands that write weights need: a lock on the folder, enough disk space, and one error for failed writes.

Two Jobs on one PersistentVolumeClaim would otherwise write the same files at the same time.
"""

from __future__ import annotations

import errno
import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.progress import ProgressCallback

LOCK = ".lock"

WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)
"""Answers of file systems without locks: there the user has to run one command at a time."""


@contextmanager
def folder_lock(folder: Path, progress: ProgressCallback) -> Iterator[None]:
    """Hold the lock of a folder, waiting while another process holds it. It is released however its process ends.

    Args:
        folder: The folder; created when it does not exist.
        progress: Called when the lock is held by another process.

    Raises:
        StageError: E_WORKSPACE when the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with lock:
        _acquire(lock, progress)
        yield


def cannot_write(path: Path, error: Exception) -> StageError:
    """The error for a file or folder of weights that cannot be written."""
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    message = f"{path} cannot be written: {reason}. Fix this and run the command again: it resumes where it stopped."
    return StageError(ErrorCode.WORKSPACE, message)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Check that the disk has room for all files before the first one is begun.

    Args:
        folder: Where the files go.
        needed: Bytes.
        what: What needs the space: the subject of the error's sentence, in the plural.

    Raises:
        StageError: E_WORKSPACE when there is too little space.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"{what} need {needed / 1e9:.3g} GB more, and {folder} has {free / 1e9:.3g} GB free."
        raise StageError(ErrorCode.WORKSPACE, message, retryable=False)


def _acquire(lock: IO[str], progress: ProgressCallback) -> None:
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress(0.0, "Waiting for another command that is at work in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
