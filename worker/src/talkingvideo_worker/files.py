"""Files: their digests, files that appear whole or not at all, and scratch folders that never outlive their process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SAMPLED_BYTES = 1 << 16
SAMPLES = 64
"""Weights are known by their size and some places in them: reading 80 GB would take minutes."""


def file_digest(path: Path) -> str:
    """sha256 of a file's content, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sampled_digest(path: Path) -> str:
    """sha256 of a file's size and of evenly spaced samples of it, its ends among them; hexadecimal."""
    size = path.stat().st_size
    digest = hashlib.sha256(f"{size}".encode())
    with path.open("rb") as file:
        for offset in _sampled(size):
            file.seek(offset)
            digest.update(file.read(SAMPLED_BYTES))
    return digest.hexdigest()


def _sampled(size: int) -> Iterable[int]:
    last = max(0, size - SAMPLED_BYTES)
    return sorted({last * number // (SAMPLES - 1) for number in range(SAMPLES)})


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Write a file beside its final place, and move it there when it is complete and on disk.

    The name of the unfinished file follows from the final one: what a killed process left is overwritten by the next
    attempt instead of piling up. A folder therefore belongs to one writer of a name at a time.

    Args:
        path: Final name. The unfinished file keeps its suffix, since muxers choose a format by it.

    Yields:
        Where to write.
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


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


PREFIX = "talkingvideo-scratch-"
LOCK = ".lock"


@contextmanager
def scratch_folder(parent: Path | None = None) -> Iterator[Path]:
    """A folder for temporary files, gone at the end; leftovers of killed processes beside it go as well.

    Args:
        parent: Where to make it; the system's temporary folder when absent.
    """
    parent = parent or Path(tempfile.gettempdir())
    parent.mkdir(parents=True, exist_ok=True)
    _sweep(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    with (folder / f"{LOCK}.new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        Path(lock.name).rename(folder / LOCK)  # seen only when locked: nobody sweeps a folder that is just being made
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove the folders whose owner is gone. A folder without a lock file is just being made: it is left alone."""
    for folder in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            descriptor = os.open(folder / LOCK, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
