"""Out of memory, at chosen windows."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.oom import OomFallback

FIRST, SECOND, THIRD = MemoryMode(), MemoryMode(resident=20), MemoryMode(resident=0)
BELOW = {FIRST: SECOND, SECOND: THIRD, THIRD: None}


class Networks:
    """Stand-ins that run out of memory at given windows."""

    def __init__(self, mode: MemoryMode) -> None:
        self.mode = mode

    def __repr__(self) -> str:
        return str(self.mode)


class Stage:
    """Builds networks, and renders windows that count on from their state."""

    def __init__(self, full: set[tuple[MemoryMode, int | None]]) -> None:
        self.full, self.alive = full, weakref.WeakSet[Networks]()
        self.started: list[tuple[MemoryMode, int, int | None]] = []

    def build(self, mode: MemoryMode) -> Networks:
        networks = Networks(mode)
        self.alive.add(networks)
        if (mode, None) in self.full:
            raise torch.OutOfMemoryError(f"CUDA out of memory in {networks}\nmore")
        return networks

    def windows(self, networks: Networks, first: int, state: int | None) -> Iterator[int]:
        self.started.append((networks.mode, first, state))
        for index in range(first, 4):
            if (networks.mode, index) in self.full:
                raise torch.OutOfMemoryError(f"CUDA out of memory in {networks}")
            state = (state or 0) + 10
            yield state


def fallback(stage: Stage, start: MemoryMode = FIRST) -> OomFallback[Networks]:
    return OomFallback(stage.build, start, BELOW.__getitem__, lambda: 3_000_000_000)


def rendered(once: OomFallback[Networks], stage: Stage, first: int = 0, state: int | None = None) -> list[int]:
    return list(once.render(stage.windows, lambda window: window, first, state))


def test_networks_that_do_not_fit_are_loaded_in_a_leaner_mode() -> None:
    stage = Stage({(FIRST, None)})
    once = fallback(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert once.mode == SECOND
    assert str(FIRST) in once.warnings[0]
    assert str(SECOND) in once.warnings[0]


def test_without_a_failure_there_is_no_warning() -> None:
    stage = Stage(set())
    once = fallback(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert (once.mode, once.warnings) == (FIRST, ())


@pytest.mark.parametrize("window", range(4))
def test_a_window_that_does_not_fit_is_rendered_again_from_the_same_state(window: int) -> None:
    stage = Stage({(FIRST, window)})
    once = fallback(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert stage.started == [(FIRST, 0, None), (SECOND, window, 10 * window or None)]


def test_a_resumed_run_keeps_its_state() -> None:
    stage = Stage({(FIRST, 2)})
    assert rendered(fallback(stage), stage, 2, 70) == [80, 90]
    assert stage.started == [(FIRST, 2, 70), (SECOND, 2, 70)]


def test_the_old_networks_are_freed_before_the_new_ones_are_loaded() -> None:
    stage = Stage({(FIRST, 1)})
    counts = []
    build = stage.build

    def counting(mode: MemoryMode) -> Networks:
        gc.collect()
        counts.append(len(stage.alive))
        return build(mode)

    once = OomFallback(counting, FIRST, BELOW.__getitem__, lambda: None)
    list(once.render(stage.windows, lambda window: window, 0, None))
    assert counts == [0, 0]


@pytest.mark.parametrize(
    "full", [{(FIRST, None), (SECOND, None)}, {(FIRST, 1), (SECOND, 1)}, {(FIRST, 0), (SECOND, 3)}]
)
def test_the_second_failure_says_what_to_do(full: set[tuple[MemoryMode, int | None]]) -> None:
    stage = Stage(full)
    with pytest.raises(StageError, match=r"20 of 40 blocks.*3\.0 GB are free.*480p") as failed:
        rendered(fallback(stage), stage)
    assert failed.value.code is ErrorCode.OOM


def test_after_the_leanest_mode_there_is_no_retry() -> None:
    stage = Stage({(THIRD, 0)})
    with pytest.raises(StageError, match="leanest") as failed:
        rendered(fallback(stage, THIRD), stage)
    assert failed.value.code is ErrorCode.OOM
    assert len(stage.started) == 1


def test_exhausted_host_memory_is_reported_as_such() -> None:
    def build(mode: MemoryMode) -> Networks:
        raise MemoryError("no pinned host memory")

    once = OomFallback(build, FIRST, BELOW.__getitem__, lambda: 0)
    with pytest.raises(StageError, match=r"host's memory.*memory limit") as failed:
        once.load()
    assert failed.value.code is ErrorCode.OOM


CUDA_SAYS = (
    "CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
    "NCCL error: unhandled cuda error. Last error: Cuda failure 2 'out of memory'",
)
"""Kernels' code and libraries' handles and workspaces do not come from torch's allocator and fail with other messages."""


@pytest.mark.parametrize("message", CUDA_SAYS)
def test_memory_that_a_library_lacks_counts_as_well(message: str) -> None:
    stage, problems = Stage(set()), [RuntimeError(message)]

    def windows(networks: Networks, first: int, state: int | None) -> Iterator[int]:
        if problems:
            raise problems.pop()
        return stage.windows(networks, first, state)

    once = fallback(stage)
    assert list(once.render(windows, lambda window: window, 0, None)) == [10, 20, 30, 40]
    assert once.mode == SECOND


def test_other_errors_are_not_caught() -> None:
    def build(mode: MemoryMode) -> Networks:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        OomFallback(build, FIRST, BELOW.__getitem__, lambda: 0).load()


def test_host_memory_that_torch_cannot_allocate_is_reported_as_such() -> None:
    def build(mode: MemoryMode) -> Networks:
        torch.empty(2**60, dtype=torch.uint8)
        raise AssertionError

    with pytest.raises(StageError, match=r"host's memory.*memory limit") as failed:
        OomFallback(build, FIRST, BELOW.__getitem__, lambda: 0).load()
    assert failed.value.code is ErrorCode.OOM
