"""This machine: the device to render on, its number formats, and its free memory."""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.modes import FreeMemory

CGROUP = Path("/sys/fs/cgroup")
MEMINFO = Path("/proc/meminfo")
DEVICES = Path("/dev")

BFLOAT16_CAPABILITY = (8, 0)
"""Compute capability from which GPUs compute in bfloat16 (Ampere). Float16 is no alternative for older ones: the model's
activations exceed its range, and their attention has no kernel that does without the matrix of all tokens by all tokens."""


def render_device() -> torch.device:
    """The current GPU; the CPU where there is none, or where ``CUDA_VISIBLE_DEVICES`` hides it.

    Raises:
        StageError: E_PIPELINE_LOAD for a GPU that is too old, or that exists but cannot be used.
    """
    if torch.cuda.is_available():
        device = torch.device("cuda", torch.cuda.current_device())
        _require_bfloat16(device)
        return device
    if "CUDA_VISIBLE_DEVICES" not in os.environ and any(DEVICES.glob("nvidia[0-9]*")):
        message = (
            "There is a GPU here, but torch cannot use it: most often its driver is older than torch's CUDA "
            f"({torch.version.cuda or 'none: this torch is for CPUs'}), or has failed. On a CPU a video takes days; to "
            "render there nevertheless, set CUDA_VISIBLE_DEVICES to the empty string."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message)
    return torch.device("cpu")


def _require_bfloat16(device: torch.device) -> None:
    capability = torch.cuda.get_device_capability(device)
    if capability < BFLOAT16_CAPABILITY:
        found = f"{torch.cuda.get_device_name(device)} (compute capability {capability[0]}.{capability[1]})"
        message = (
            f"The GPU {found} does not compute in bfloat16, which the model needs: use one of the generation Ampere (8.0) "
            "or newer."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


@dataclass(frozen=True)
class Formats:
    """Number formats on a device.

    Attributes:
        dtype: Of transformer, text and image encoder.
        decoding: Of the VAE's decoder. In bfloat16, with random weights, pixels are 0.7 of 255 levels off on average and
            4.6 at most. The encoder is in float32 (TF32 on GPUs), as published: its results are passed on from window to
            window, where the 0.8 % error of bfloat16 would accumulate.
    """

    dtype: torch.dtype
    decoding: torch.dtype


def formats_of(device: torch.device) -> Formats:
    """bfloat16 on a GPU; float32 on a CPU, where it is faster, and exact."""
    usual = torch.bfloat16 if device.type == "cuda" else torch.float32
    return Formats(usual, usual)


def reset_peak() -> None:
    """Restart ``peak_gpu_bytes`` from what is allocated now."""
    if torch.cuda.is_initialized():
        torch.cuda.reset_peak_memory_stats()


def peak_gpu_bytes(device: torch.device) -> int | None:
    """The most that this process has reserved of a GPU since ``reset_peak``; None for the CPU."""
    return torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None


def free_memory(device: torch.device) -> FreeMemory:
    """Free bytes of a device and of the host, after unused memory has been freed."""
    free_unused_memory()
    return FreeMemory(free_gpu_bytes(device), free_host_bytes())


def free_unused_memory() -> None:
    """Free the memory of networks that are no longer used; compiled ones contain reference cycles.

    PyTorch keeps freed memory of the GPU and pinned memory of the host in caches, where other processes cannot use it;
    cached pinned blocks of one size are of no use for another size.
    """
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
        if hasattr(
            torch.accelerator, "empty_host_cache"
        ):  # from torch 2.12 on; benchmarks also run with older versions
            torch.accelerator.empty_host_cache()


def free_gpu_bytes(device: torch.device) -> int | None:
    """Free bytes of a GPU, including what this process has cached but does not use; None for the CPU."""
    if device.type != "cuda":
        return None
    free, _total = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def free_host_bytes(cgroup: Path = CGROUP, meminfo: Path = MEMINFO) -> int:
    """Free bytes of the host within the container's limit; file caches count as free, since the kernel reclaims them.

    Args:
        cgroup: Folder of the container's control groups.
        meminfo: The kernel's summary of memory.
    """
    available = _kilobytes(meminfo, "MemAvailable:")
    first = cgroup / "memory"  # version 1 of control groups has one folder per resource
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
