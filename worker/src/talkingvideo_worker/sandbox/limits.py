"""What a child may use, enforced by the kernel from before the first byte of an untrusted file."""

from __future__ import annotations

import resource
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

MEMORY_BYTES = 880 << 20
"""Address space that a child may add to what the libraries take, of which 65 MiB are resident: less than 1 GB altogether.

Of the honest files that were measured a transparent PNG of 100 megapixels needs most, 871 MiB. Only a progressive JPEG of
100 megapixels in CMYK would need more (924 MiB)."""

PARENT_BYTES = 400 << 20
"""Memory that stays with the process that asks (its libraries, a picture of 4,096 x 4,096, the networks that find faces):
in a small container a child gets what the container has beyond this."""

LEAST_BYTES = 128 << 20
"""Address space that a child always gets: with less not even a small file can be read."""

OPEN_FILES = 32
"""File descriptors: the file, the result, the pipe, and what libraries open while they start."""

WALL_SECONDS, WALL_PER_CPU = 30.0, 4.0
"""Time that may pass, and for each second of computing time: a pod may get a quarter of a core."""

GRACE_SECONDS = 5
"""Seconds between the signal that ends a child which has used up its computing time, and the one that cannot be caught."""

CGROUP = Path("/sys/fs/cgroup")


class Limits(BaseModel):
    """The limits of one child.

    Attributes:
        cpu_seconds: Computing time of all its threads together.
        file_bytes: Size of each file that it writes.
        memory_bytes: Address space beyond what it starts with.
        wall_seconds: Time after which it is killed even if it has computed little.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu_seconds: int = Field(gt=0)
    file_bytes: int = Field(gt=0)
    memory_bytes: int = Field(default_factory=lambda: memory_limit())
    wall_seconds: float = Field(default_factory=lambda given: WALL_SECONDS + WALL_PER_CPU * given["cpu_seconds"])


def memory_limit(cgroup: Path = CGROUP) -> int:
    """Address space of a child in this container.

    Args:
        cgroup: Folder of the container's control groups, of either version.
    """
    limits = [limit for name in ("memory.max", "memory/memory.limit_in_bytes") if (limit := _number(cgroup / name))]
    return max(LEAST_BYTES, min([MEMORY_BYTES, *(limit - PARENT_BYTES for limit in limits)]))


def _number(path: Path) -> int | None:
    """The number in a file; None where there is none, or ``max``."""
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None


def apply(limits: Limits) -> None:
    """Limit this process, irrevocably. A lower limit that it has already stays."""
    memory_bytes = _address_space() + limits.memory_bytes
    for kind, soft, hard in (
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_CPU, limits.cpu_seconds, limits.cpu_seconds + GRACE_SECONDS),
        (resource.RLIMIT_FSIZE, limits.file_bytes, limits.file_bytes),
        (resource.RLIMIT_NOFILE, OPEN_FILES, OPEN_FILES),
        (resource.RLIMIT_AS, memory_bytes, memory_bytes),
    ):
        most = resource.getrlimit(kind)[1]
        unlimited = most == resource.RLIM_INFINITY
        resource.setrlimit(kind, (soft, hard) if unlimited else (min(soft, most), min(hard, most)))


def _address_space() -> int:
    """Bytes of this process's address space, proc(5)."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
