"""Timing: on a GPU by its own events, after a warm-up, as the median of several."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from statistics import median
from typing import Any, Protocol

import torch

SAMPLES = 5


class Clock(Protocol):
    """Times what is done on a device.

    Attributes:
        shortest: Seconds; acts that take less are repeated within a sample.
    """

    shortest: float

    def seconds(self, act: Callable[[], object], times: int = 1) -> float:
        """How long an act takes, done some times one after another, until the device has finished it: for one."""
        ...

    def now(self) -> float:
        """Seconds of a steady clock, when everything that was started has been finished."""
        ...


class CudaClock:
    """Events of the current stream. Short acts are repeated, so that starting one is hidden behind the one before.

    Args:
        device: The GPU.
    """

    shortest = 0.03

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def seconds(self, act: Callable[[], object], times: int = 1) -> float:
        """See ``Clock``."""
        start: Any = torch.cuda.Event(enable_timing=True)
        end: Any = torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(self._device)
        start.record()
        for _ in range(times):
            act()
        end.record()
        torch.cuda.synchronize(self._device)
        return float(start.elapsed_time(end)) / 1_000 / times

    def now(self) -> float:
        """See ``Clock``."""
        torch.cuda.synchronize(self._device)
        return time.perf_counter()


class HostClock:
    """The process's own clock, for a CPU."""

    shortest = 0.0

    def seconds(self, act: Callable[[], object], times: int = 1) -> float:
        """See ``Clock``."""
        started = time.perf_counter()
        for _ in range(times):
            act()
        return (time.perf_counter() - started) / times

    def now(self) -> float:
        """See ``Clock``."""
        return time.perf_counter()


def clock_of(device: torch.device) -> Clock:
    """The clock of a device."""
    return CudaClock(device) if device.type == "cuda" else HostClock()


def median_seconds(act: Callable[[], object], clock: Clock, samples: int = SAMPLES) -> float:
    """Median time of an act, after one that is not counted (it compiles, loads kernels, fills caches).

    Args:
        act: What is timed.
        clock: Of its device.
        samples: How many are taken.
    """
    act()
    first = clock.seconds(act)
    times = max(1, math.ceil(clock.shortest / max(first, 1e-9)))
    return median(clock.seconds(act, times) for _ in range(samples))
