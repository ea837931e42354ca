"""Digests of files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
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
