"""Files: digests, atomic writes, the user's cache, and scratch folders that never outlive their process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SAMPLE_COUNT = 64
SAMPLE_BYTES = 1 << 16
"""Weights are identified by their size and by samples of their content: reading 80 GB would take minutes."""


def file_digest(path: Path) -> str:
    """sha256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_digest(path: Path) -> str:
    """sha256 of a file's size and of evenly spaced samples of its content, start and end included; hexadecimal."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}".encode())
    with path.open("rb") as file:
        for offset in _sample_offsets(size):
            file.seek(offset)
            digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _sample_offsets(size: int) -> Iterable[int]:
    last = max(0, size - SAMPLE_BYTES)
    return sorted({last * index // (SAMPLE_COUNT - 1) for index in range(SAMPLE_COUNT)})


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Write a file atomically: beside its final path, to which it is moved when it is complete and on disk.

    The name of the unfinished file follows from the final one, so that the next attempt overwrites what a killed process
    left, instead of adding to it. A file may therefore have only one writer at a time.

    Args:
        path: Final path. The unfinished file has the same suffix, from which muxers choose a format.

    Yields:
        Path of the unfinished file.
    """
    unfinished = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield unfinished
        _flush_to_disk(unfinished)
        unfinished.replace(path)
        _flush_to_disk(path.parent)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def user_cache() -> Path:
    """The project's folder in the user's cache, as the XDG base directory specification defines it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "talkingvideo"


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


SCRATCH_PREFIX = "talkingvideo-scratch-"
SCRATCH_LOCK = ".lock"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for temporary files, removed at the end. Folders that killed processes left beside it are removed, too.

    Args:
        parent: Where to create it; the system's temporary folder when absent.
    """
    parent = parent or Path(tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    with (folder / f"{SCRATCH_LOCK}.new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(folder / SCRATCH_LOCK)  # visible only once locked: no process removes a new folder
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders whose process has ended. A folder without a lock file is still being created and is kept."""
    for folder in parent.glob(f"{SCRATCH_PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder / SCRATCH_LOCK, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
