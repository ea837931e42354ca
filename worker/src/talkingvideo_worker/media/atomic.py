"""Files that are whole under their final name, or not there at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
