"""State folders of running clusters, removed by the next run when their own run was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Yield a fresh private folder, gone afterwards; folders of killed runs (their lock is free) go as well."""
    parent = Path(tempfile.gettempdir()) / f"talkingvideo-cluster-{os.getuid()}"
    parent.mkdir(mode=0o700, exist_ok=True)
    with _parent_lock(parent):
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(dir=parent))
        lock = (folder / "in-use").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.close()


@contextmanager
def _parent_lock(parent: Path) -> Iterator[None]:
    with (parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        if not folder.is_dir():
            continue
        with (folder / "in-use").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(folder, ignore_errors=True)
