"""Out of memory, at chosen places."""

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
    """Stand-ins that run out of memory where they are told to."""

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


def leaner_once(stage: Stage, start: MemoryMode = FIRST) -> OomFallback[Networks]:
    return OomFallback(stage.build, start, BELOW.__getitem__, lambda: 3_000_000_000)


def rendered(once: OomFallback[Networks], stage: Stage, first: int = 0, state: int | None = None) -> list[int]:
    return list(once.render(stage.windows, lambda window: window, first, state))


def test_a_load_that_does_not_fit_is_done_leaner() -> None:
    stage = Stage({(FIRST, None)})
    once = leaner_once(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert once.mode == SECOND
    assert str(FIRST) in once.warnings[0]
    assert str(SECOND) in once.warnings[0]


def test_without_trouble_there_is_nothing_to_tell() -> None:
    stage = Stage(set())
    once = leaner_once(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert (once.mode, once.warnings) == (FIRST, ())


@pytest.mark.parametrize("window", range(4))
def test_a_window_that_does_not_fit_is_rendered_again_from_the_same_state(window: int) -> None:
    stage = Stage({(FIRST, window)})
    once = leaner_once(stage)
    assert rendered(once, stage) == [10, 20, 30, 40]
    assert stage.started == [(FIRST, 0, None), (SECOND, window, 10 * window or None)]


def test_a_run_that_goes_on_keeps_the_state_it_was_given() -> None:
    stage = Stage({(FIRST, 2)})
    assert rendered(leaner_once(stage), stage, 2, 70) == [80, 90]
    assert stage.started == [(FIRST, 2, 70), (SECOND, 2, 70)]


def test_the_old_networks_are_gone_before_the_new_ones_come() -> None:
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
def test_the_second_time_ends_with_what_to_do(full: set[tuple[MemoryMode, int | None]]) -> None:
    stage = Stage(full)
    with pytest.raises(StageError, match=r"20 of 40 blocks.*3\.0 GB are free.*480p") as failed:
        rendered(leaner_once(stage), stage)
    assert failed.value.code is ErrorCode.OOM


def test_below_the_leanest_there_is_no_second_time() -> None:
    stage = Stage({(THIRD, 0)})
    with pytest.raises(StageError, match="leanest") as failed:
        rendered(leaner_once(stage, THIRD), stage)
    assert failed.value.code is ErrorCode.OOM
    assert len(stage.started) == 1


def test_a_full_host_is_said_to_be_one() -> None:
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
"""A kernel's code, a library's handle and workspace are not asked of torch's allocator, and lack in other words."""


@pytest.mark.parametrize("message", CUDA_SAYS)
def test_memory_that_lacks_a_library_lacks_too(message: str) -> None:
    stage, problems = Stage(set()), [RuntimeError(message)]

    def windows(networks: Networks, first: int, state: int | None) -> Iterator[int]:
        if problems:
            raise problems.pop()
        return stage.windows(networks, first, state)

    once = leaner_once(stage)
    assert list(once.render(windows, lambda window: window, 0, None)) == [10, 20, 30, 40]
    assert once.mode == SECOND


def test_another_error_is_nobodys_memory() -> None:
    def build(mode: MemoryMode) -> Networks:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with pytest.raises(RuntimeError, match="illegal"):
        OomFallback(build, FIRST, BELOW.__getitem__, lambda: 0).load()


def test_a_host_that_torch_finds_full_is_said_to_be_one() -> None:
    def build(mode: MemoryMode) -> Networks:
        torch.empty(2**60, dtype=torch.uint8)
        raise AssertionError

    with pytest.raises(StageError, match=r"host's memory.*memory limit") as failed:
        OomFallback(build, FIRST, BELOW.__getitem__, lambda: 0).load()
    assert failed.value.code is ErrorCode.OOM
