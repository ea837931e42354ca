"""Out of memory: once more in the next leaner mode, from where it stopped. Never a smaller or shorter video."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.machine import give_back_unused
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, MemoryMode

Built = TypeVar("Built")
Window = TypeVar("Window")
State = TypeVar("State")


class LeanerOnce(Generic[Built]):
    """Networks in a memory mode; when the GPU's memory runs out, in a leaner one.

    Args:
        build: Loads the networks in a mode.
        start: The first mode.
        below: The mode below one, as what is free allows; None below the leanest.
        free_gpu_bytes: Asked when memory has run out.
    """

    def __init__(
        self,
        build: Callable[[MemoryMode], Built],
        start: MemoryMode,
        below: Callable[[MemoryMode], MemoryMode | None],
        free_gpu_bytes: Callable[[], int | None],
    ) -> None:
        self._build, self._below, self._free = build, below, free_gpu_bytes
        self._built: Built | None = None
        self._left: MemoryMode | None = None
        self.mode = start

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the user should know."""
        if self._left is None:
            return ()
        return (f"The GPU's memory did not suffice for the mode {self._left}; rendered in {self.mode}.",)

    def load(self) -> Built:
        """The networks, loaded when they are not.

        Raises:
            StageError: E_OOM when memory runs out for the second time, or the host's does.
        """
        while self._built is None:
            problem = None
            try:
                self._built = self._build(self.mode)
            except (MemoryError, RuntimeError) as error:
                problem = self._lack_of_gpu_memory(error)
            if problem is not None:
                self._step_down(problem)
        return self._built

    def render(
        self,
        windows: Callable[[Built, int, State | None], Iterator[Window]],
        state_of: Callable[[Window], State | None],
        first: int,
        state: State | None,
    ) -> Iterator[Window]:
        """Render windows; where memory runs out, the same window again with leaner networks.

        Args:
            windows: Networks, the number of the first window and the state before it, to the windows from there on.
            state_of: What a window leaves to the next, not on the GPU.
            first: Number of the first window.
            state: What the window before it left.

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
                problem = self._lack_of_gpu_memory(error)
            if problem is None:
                return
            self._step_down(problem)

    def _lack_of_gpu_memory(self, error: Exception) -> str:
        """What lacked, in words; another error goes on its way."""
        if is_host_full(error):
            raise _host_is_full(self.mode, error) from error
        if not is_gpu_full(error):
            raise error
        return first_line(error)

    def _step_down(self, problem: str) -> None:
        """Outside of any ``except``: an error that is being handled keeps alive what its frames hold."""
        self._built = None
        give_back_unused()
        following = None if self._left is not None else self._below(self.mode)
        if following is None:
            raise _gpu_is_full(self.mode, self._free(), problem)
        self._left, self.mode = self.mode, following


def _gpu_is_full(mode: MemoryMode, free: int | None, problem: str) -> StageError:
    left = "" if free is None else f"; {free / GB:.1f} GB are free without the model"
    message = (
        f"The GPU's memory ran out in the mode {mode}, the leanest that was left{left} ({problem}). Use a GPU with more memory, render at 480p, or leave render.memory out so that the "
        "mode is chosen freely."
    )
    return StageError(ErrorCode.OOM, message)


def _host_is_full(mode: MemoryMode, error: Exception) -> StageError:
    message = (
        f"The host's memory ran out in the mode {mode} ({first_line(error)}). Raise the worker's memory limit, or set "
        "render.memory.quantization to FP8, which halves what waits in it."
    )
    return StageError(ErrorCode.OOM, message)


def is_gpu_full(error: BaseException) -> bool:
    """Whether a GPU's memory has run out: torch's allocator says so, or CUDA's libraries, which do not ask it."""
    return isinstance(error, torch.OutOfMemoryError) or _says(error, "out of memory", "_ALLOC_FAILED")


def is_host_full(error: BaseException) -> bool:
    """Whether the host's memory has run out, as Python or torch say it."""
    return isinstance(error, MemoryError) or _says(error, "DefaultCPUAllocator")


def first_line(error: BaseException) -> str:
    """The beginning of what an error says."""
    return str(error).split("\n", 1)[0][:200]


def _says(error: BaseException, *parts: str) -> bool:
    return isinstance(error, RuntimeError) and any(part in str(error) for part in parts)
