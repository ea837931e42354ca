"""Which kernels a call spends its time in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from infinitetalk.figures import KernelRow
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

SHOWN = 20
NAME_LENGTH = 90


def profiled_kernels(
    action: Callable[[], object], device: torch.device, trace: Callable[[Any], None]
) -> Sequence[KernelRow]:
    """Profile an action, which runs once before.

    Args:
        action: What.
        device: Where.
        trace: Given the profile.

    Returns:
        The kernels that took longest, of all time that kernels took; on a CPU its operations.
    """
    on_gpu = device.type == "cuda"
    action()
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]) as profiled:
        action()
        if on_gpu:
            torch.cuda.synchronize(device)
    trace(profiled)
    wanted = DeviceType.CUDA if on_gpu else DeviceType.CPU
    # Of compiled code and of NCCL the profile also has spans, in which other kernels run.
    averages = profiled.key_averages()
    events = [event for event in averages if event.device_type == wanted and not event.is_user_annotation]
    times = {event.key: _microseconds(event, on_gpu=on_gpu) for event in events}
    whole = sum(times.values()) or 1.0
    longest = sorted(events, key=lambda event: times[event.key], reverse=True)[:SHOWN]
    return [
        KernelRow(_short(event.key), event.count, times[event.key] / 1_000, times[event.key] / whole)
        for event in longest
    ]


def _microseconds(event: Any, *, on_gpu: bool) -> float:
    return float(event.self_device_time_total if on_gpu else event.self_cpu_time_total)


def _short(name: str) -> str:
    plain = name.replace("|", "/").removeprefix("void ")
    return plain if len(plain) <= NAME_LENGTH else f"{plain[: NAME_LENGTH - 1]}…"
