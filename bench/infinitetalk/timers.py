"""Timing: on a GPU by its own events, after a warm-up, as the median of several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Protocol

import torch

SAMPLES = 5


class Timer(Protocol):
    """Times actions on a device.

    Attributes:
        shortest: Seconds; actions that take less are repeated within a sample.
    """

    shortest: float

    def seconds(self, action: Callable[[], object], times: int = 1) -> float:
        """Seconds per action until the device has finished it, when it is repeated some times."""
        ...

    def now(self) -> float:
        """Seconds of a monotonic clock, after the device has finished all work."""
        ...


class CudaTimer:
    """Events of the current stream. Short actions are repeated, so that launching one overlaps with the previous one.

    Args:
        device: The GPU.
    """

    shortest = 0.03

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def seconds(self, action: Callable[[], object], times: int = 1) -> float:
        """See ``Timer``."""
        start: Any = torch.cuda.Event(enable_timing=True)
        end: Any = torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(self._device)
        start.record()
        for _ in range(times):
            action()
        end.record()
        torch.cuda.synchronize(self._device)
        return float(start.elapsed_time(end)) / 1_000 / times

    def now(self) -> float:
        """See ``Timer``."""
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


class HostTimer:
    """The host's clock, for a CPU."""

    shortest = 0.0

    def seconds(self, action: Callable[[], object], times: int = 1) -> float:
        """See ``Timer``."""
        started = time.perf_counter()
        for _ in range(times):
            action()
        return (time.perf_counter() - started) / times

    def now(self) -> float:
        """See ``Timer``."""
        return time.perf_counter()


def make_timer(device: torch.device) -> Timer:
    """The timer for a device."""
    return CudaTimer(device) if device.type == "cuda" else HostTimer()


def median_seconds(action: Callable[[], object], timer: Timer, samples: int = SAMPLES) -> float:
    """Median time of an action, after one that is not counted (it compiles, loads kernels, fills caches).

    Args:
        action: What is timed.
        timer: For its device.
        samples: Number of samples.
    """
    action()
    first = timer.seconds(action)
    times = max(1, math.ceil(timer.shortest / max(first, 1e-9)))
    return median(timer.seconds(action, times) for _ in range(samples))
