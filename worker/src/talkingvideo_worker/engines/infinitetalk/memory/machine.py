"""What is free on this machine."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.modes import Machine

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
DEVICES = Path("/dev")

BFLOAT16_CAPABILITY = (8, 0)
"""Compute capability from which GPUs calculate in bfloat16 (Ampere). Float16 is no way out for older ones: the model's
activations leave its range, and their attention has no kernel that does without a matrix of all tokens by all."""


def rendering_device() -> torch.device:
    """The current GPU; the CPU where there is none, or where ``CUDA_VISIBLE_DEVICES`` hides it.

    Raises:
        StageError: E_PIPELINE_LOAD for a GPU that is too old, or that is there but cannot be used.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        _require_bfloat16(device)
        return device
    if "CUDA_VISIBLE_DEVICES" not in os.environ and any(DEVICES.glob("nvidia[0-9]*")):
        message = (
            "There is a GPU here, but torch cannot use it: mostly its driver is older than torch's CUDA "
            f"({torch.version.cuda or 'none: this torch is for CPUs'}), or failed. On a CPU a video takes days; who "
            "wants that sets CUDA_VISIBLE_DEVICES to nothing."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message)
    return torch.device("cpu")


def _require_bfloat16(device: torch.device) -> None:
    capability = torch.cuda.get_device_capability(device)
    if capability < BFLOAT16_CAPABILITY:
        found = f"{torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]})"
        message = (
            f"The GPU {found} does not calculate in bfloat16, as the model does: use one of the generation Ampere (8.0) "
            "or newer."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def restart_peak() -> None:
    """Let ``peak_gpu_bytes`` begin anew, from what is held now."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def peak_gpu_bytes(device: torch.device) -> int | None:
    """The most that this process has held of a GPU since ``restart_peak``; None for the CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def measure(device: torch.device) -> Machine:
    """Free bytes of a device and of the host, once what nobody uses any more is given back."""
    give_back_unused()
    return Machine(free_gpu_bytes(device), free_host_bytes())


def give_back_unused() -> None:
    """Give back what networks took that nobody uses any more; compiled ones are in rings.

    PyTorch keeps freed memory for itself, of the GPU and pinned memory of the host. Nobody else could have it, and pinned
    blocks of one size are of no use for another.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        if hasattr(torch.accelerator, "empty_host_cache"):  # from torch 2.12 on; benchmarks run with older ones
            torch.accelerator.empty_host_cache()


def free_gpu_bytes(device: torch.device) -> int | None:
    """What is free on a GPU, with what this process keeps for itself but does not use; None for the CPU."""
    if device.type != "cuda":
        return None
    free, _total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def free_host_bytes(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int:
    """What the host has and the container may take; file caches count as free, since they give way.

    Args:
        cgroup: Folder of the container's control groups.
        meminfo: The kernel's summary.
    """
    available = _kilobytes(meminfo, "MemAvailable:")
    first = cgroup / "memory"  # where version 1 of control groups has its own, one folder for each resource
    limits = (
        _left(cgroup / "memory.max", cgroup / "memory.current", cgroup / "memory.stat", "file"),
        _left(first / "memory.limit_in_bytes", first / "memory.usage_in_bytes", first / "memory.stat", "total_cache"),
    )
    return min([available, *(limit for limit in limits if limit is not None)])


def _left(limit: Path, used: Path, statistics: Path, cache: str) -> int | None:
    """Bytes below a control group's limit; None without one."""
    text = limit.read_text().strip() if limit.is_file() else "max"
    if text == "max":
        return None
    return max(0, int(text) - int(used.read_text()) + _value(statistics, cache))


def _kilobytes(path: Path, name: str) -> int:
    return 1024 * _value(path, name)


def _value(path: Path, name: str) -> int:
    """The number behind a name at the start of a line; 0 where there is none."""
    lines = (line.split() for line in path.read_text().splitlines())
    return next((int(words[1]) for words in lines if words[:1] == [name]), 0)
