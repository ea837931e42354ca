"""Folders that outlive a run, shared safely by runs at the same time."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return (and make) a folder under the user's cache."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = root.joinpath("talkingvideo", *parts)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(target: Path) -> Iterator[None]:
    """Hold the lock of ``target`` (which need not exist); another run waits until it is released."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def placed_atomically(target: Path) -> Iterator[Path]:
    """Yield a path beside ``target`` to write a file to; it takes the target's name only when the block succeeds."""
    scratch = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    try:
        unfinished = scratch / target.name
        yield unfinished
        unfinished.replace(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
