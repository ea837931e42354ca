"""What commands that write weights have in common: one at a time in a folder, room on the disk, and words for what goes wrong.

Two Jobs on one claim would write into the same files.
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
"""What file systems answer that know no locks: there it is the user's to run one command at a time."""


@contextmanager
def alone_in(folder: Path, note: ProgressCallback) -> Iterator[None]:
    """Wait until no other process is at work in a folder. One that ends, however it ends, is no more.

    Args:
        folder: The folder; made if it is missing.
        note: Told when there is something to wait for.

    Raises:
        StageError: E_WORKSPACE for a folder that cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise cannot_write(folder, error) from error
    with lock:
        _take(lock, note)
        yield


def cannot_write(path: Path, error: Exception) -> StageError:
    """What to tell when a file or folder of weights cannot be written."""
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    message = f"{path} cannot be written: {reason}. Mend that and run the command again: it goes on where it stopped."
    return StageError(ErrorCode.WORKSPACE, message)


def require_space(folder: Path, needed: int, what: str) -> None:
    """Look whether files have room before the first is begun.

    Args:
        folder: Where they go.
        needed: Bytes.
        what: They are, as a sentence's beginning in the plural.

    Raises:
        StageError: E_WORKSPACE when they have not.
    """
    free = shutil.disk_usage(folder).free
    if needed > free:
        message = f"{what} need {needed / 1e9:.3g} GB more, and {folder} has {free / 1e9:.3g} GB free."
        raise StageError(ErrorCode.WORKSPACE, message, retryable=False)


def _take(lock: IO[str], note: ProgressCallback) -> None:
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(0.0, "Waiting for another command that is at work in this folder")
            fcntl.flock(lock, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in WITHOUT_LOCKS:
            raise
