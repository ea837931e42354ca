"""What is free on this machine."""

from __future__ import annotations

from pathlib import Path

import torch

from talkingvideo_worker.engines.infinitetalk.memory.modes import Machine

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")


def rendering_device() -> torch.device:
    """The current GPU; the CPU where there is none."""
    if torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def peak_gpu_bytes(device: torch.device) -> int | None:
    """The most that this process has held of a GPU; None for the CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def measure(device: torch.device) -> Machine:
    """Free bytes of a device and of the host."""
    return Machine(free_gpu_bytes(device), free_host_bytes())


def free_gpu_bytes(device: torch.device) -> int | None:
    """What is free on a GPU, with what this process keeps for itself but does not use; None for the CPU."""
    if device.type != "cuda":
        return None
    free, _total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def free_host_bytes(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int:
    """What the host has and the container may take; file caches count as free, since they give way.

    Args:
        cgroup: Folder of the container's control group (version 2).
        meminfo: The kernel's summary.
    """
    available = _kilobytes(meminfo, "MemAvailable:")
    limit = _limit(cgroup / "memory.max")
    if limit is None:
        return available
    used = int((cgroup / "memory.current").read_text()) - _value(cgroup / "memory.stat", "file")
    return max(0, min(available, limit - used))


def _limit(path: Path) -> int | None:
    text = path.read_text().strip() if path.is_file() else "max"
    return None if text == "max" else int(text)


def _kilobytes(path: Path, name: str) -> int:
    return 1024 * _value(path, name)


def _value(path: Path, name: str) -> int:
    """The number behind a name at the start of a line; 0 where there is none."""
    lines = (line.split() for line in path.read_text().splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [name]), 0)
