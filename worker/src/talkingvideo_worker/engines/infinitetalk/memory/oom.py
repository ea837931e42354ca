"""Out of memory: retries once in the next leaner memory mode, at the window where it stopped.

The video never becomes smaller or shorter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_unused_memory
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, MemoryMode

Built = TypeVar("Built")
Window = TypeVar("Window")
State = TypeVar("State")


class OomFallback(Generic[Built]):
    """Networks in a memory mode; after the GPU's memory has run out, in a leaner one.

    Args:
        build: Loads the networks in a mode.
        start: The first mode.
        leaner: The next leaner mode that the free memory allows; None after the leanest.
        free_gpu_bytes: Called for the message when memory has run out.
    """

    def __init__(
        self,
        build: Callable[[MemoryMode], Built],
        start: MemoryMode,
        leaner: Callable[[MemoryMode], MemoryMode | None],
        free_gpu_bytes: Callable[[], int | None],
    ) -> None:
        self._build, self._leaner, self._free_gpu_bytes = build, leaner, free_gpu_bytes
        self._built: Built | None = None
        self._failed_mode: MemoryMode | None = None
        self.mode = start

    @property
    def warnings(self) -> tuple[str, ...]:
        """For the user: that the first mode did not fit."""
        if self._failed_mode is None:
            return ()
        return (f"The GPU's memory did not suffice for the mode {self._failed_mode}; rendered in {self.mode}.",)

    def load(self) -> Built:
        """The networks; loads them when they are not loaded.

        Raises:
            StageError: E_OOM when memory runs out for the second time, or the host's does.
        """
        while self._built is None:
            problem = None
            try:
                self._built = self._build(self.mode)
            except (MemoryError, RuntimeError) as error:
                problem = self._gpu_oom_message(error)
            if problem is not None:
                self._use_leaner_mode(problem)
        return self._built

    def render(
        self,
        windows: Callable[[Built, int, State | None], Iterator[Window]],
        state_of: Callable[[Window], State | None],
        first: int,
        state: State | None,
    ) -> Iterator[Window]:
        """Render windows; when memory runs out, continue with the same window in a leaner mode.

        Args:
            windows: Renders the windows from one on, given the networks, its number and the state before it.
            state_of: The state that a window leaves to the next one, not on the GPU.
            first: Number of the first window.
            state: The state that the previous window left.

        Raises:
            StageError: As ``load``.
        """
        while True:
            problem = None
            try:
                for window in windows(self.load(), first, state):
                    first, state = first + 1, state_of(window)
                    yield window
            except (MemoryError, RuntimeError) as error:
                problem = self._gpu_oom_message(error)
            if problem is None:
                return
            self._use_leaner_mode(problem)

    def _gpu_oom_message(self, error: Exception) -> str:
        """The message of an error of GPU memory; raises every other error."""
        if is_host_oom(error):
            raise _host_oom(self.mode, error) from error
        if not is_gpu_oom(error):
            raise error
        return first_line(error)

    def _use_leaner_mode(self, problem: str) -> None:
        """Called outside of any ``except``: an error that is being handled keeps the objects of its frames alive."""
        self._built = None
        free_unused_memory()
        mode = None if self._failed_mode is not None else self._leaner(self.mode)
        if mode is None:
            raise _gpu_oom(self.mode, self._free_gpu_bytes(), problem)
        self._failed_mode, self.mode = self.mode, mode


def _gpu_oom(mode: MemoryMode, free: int | None, problem: str) -> StageError:
    left = "" if free is None else f"; {free / GB:.1f} GB are free without the model"
    message = (
        f"The GPU's memory ran out in the mode {mode}, the leanest that was left{left} ({problem}). Use a GPU with more "
        "memory, render at 480p, or omit render.memory so that any mode may be chosen."
    )
    return StageError(ErrorCode.OOM, message)


def _host_oom(mode: MemoryMode, error: Exception) -> StageError:
    message = (
        f"The host's memory ran out in the mode {mode} ({first_line(error)}). Raise the worker's memory limit, or set "
        "render.memory.quantization to FP8, which halves the offloaded blocks."
    )
    return StageError(ErrorCode.OOM, message)


def is_gpu_oom(error: BaseException) -> bool:
    """Whether a GPU's memory has run out, as torch's allocator or CUDA's libraries, which do not use it, report it."""
    return isinstance(error, torch.OutOfMemoryError) or _mentions(error, "out of memory", "_ALLOC_FAILED")


def is_host_oom(error: BaseException) -> bool:
    """Whether the host's memory has run out, as Python or torch report it."""
    return isinstance(error, MemoryError) or _mentions(error, "DefaultCPUAllocator")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, at most 200 characters."""
    return str(error).split("\n", 1)[0][:200]


def _mentions(error: BaseException, *parts: str) -> bool:
    return isinstance(error, RuntimeError) and any(part in str(error) for part in parts)
