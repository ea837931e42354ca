"""The checksums of fetched files, ``fetched.json`` in the folder of weights: who has them need not read 100 GB again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from talkingvideo_worker.files import atomic_write, file_digest

RECORD = "fetched.json"
SMALL = 32 << 20
"""Bytes of a file that is read whole to check it, where its checksum was not recorded."""


def recorded_checksums(folder: Path) -> dict[str, Any]:
    """Checksums of fetched files, by destination."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def record_checksum(folder: Path, destination: Path, checksum: str) -> None:
    """Record the checksum of a file that was checked."""
    record = recorded_checksums(folder) | {str(destination): checksum}
    with atomic_write(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1, sort_keys=True))


def files_of_another_release(folder: Path, expected: Mapping[Path, str]) -> Iterator[Path]:
    """The files that are there and not those of this release, as far as that costs no reading of large files.

    Args:
        folder: The folder of weights.
        expected: sha256 by destination.
    """
    recorded = recorded_checksums(folder)
    for destination, sha256 in expected.items():
        file = folder / destination
        if not file.is_file():
            continue
        known = recorded.get(str(destination))
        if file.stat().st_size <= SMALL:
            known = file_digest(file)
        if isinstance(known, str) and len(known) == 64 and known != sha256:
            yield destination
