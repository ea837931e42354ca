"""Ranks end together."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.worker.infinitetalk.parallel import small_model
from tests.worker.infinitetalk.parallel.rendered_windows import CPUS, PLAIN, SERVED, assembled, rendered
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.parallel.group import WorkerGroup
from talkingvideo_worker.engines.infinitetalk.parallel.worker import LoadModel

SOON = 8.0
"""Seconds; a loaded machine is slow, and a process that hangs would take minutes."""


def test_a_worker_killed_in_a_step_ends_all_and_is_named() -> None:
    together = assembled(ParallelConfig(1, 4))
    killed, *others = together.group.processes
    started = time.monotonic()

    def kill(_step: int) -> None:
        os.kill(killed.pid or 0, signal.SIGKILL)

    def denoise(*given: Any) -> Tensor:
        transformer, noise, motion, conditions, schedule, _on_step = given
        return together.group.denoise(transformer, noise, motion, conditions, schedule, kill)

    with pytest.raises(StageError, match="GPU 1 was ended by SIGKILL") as failed:
        rendered(together.shared, PLAIN, denoiser=denoise)
    assert failed.value.code is ErrorCode.OOM
    assert time.monotonic() - started < SOON
    assert [process.is_alive() for process in (killed, *others)] == [False] * 3


@pytest.mark.parametrize(
    ("load", "code", "message", "field"),
    [
        (small_model.load_what_does_not_fit, ErrorCode.PIPELINE_LOAD, "The file is torn", "spec.render.loras[0]"),
        (small_model.be_killed, ErrorCode.OOM, "GPU 1 was ended by SIGKILL", None),
    ],
)
def test_a_worker_that_cannot_load_the_model_is_reported(
    load: LoadModel, code: ErrorCode, message: str, field: str | None
) -> None:
    group = WorkerGroup(load, ParallelConfig(1, 2), CPUS, SERVED)
    with pytest.raises(StageError, match=message) as failed:
        group.join(small_model.load())
    assert (failed.value.code, failed.value.field) == (code, field)
    assert not group.processes[0].is_alive()


def test_memory_that_runs_out_in_a_worker_is_treated_like_this_processs() -> None:
    """So that a leaner memory mode is tried."""
    group = WorkerGroup(small_model.find_the_gpu_full, ParallelConfig(1, 2), CPUS, SERVED)
    with pytest.raises(torch.OutOfMemoryError, match="ran out in the process of GPU 1: CUDA out of memory"):
        group.join(small_model.load())


def test_workers_end_with_their_group(tmp_path: Path) -> None:
    group = WorkerGroup(partial(small_model.never, tmp_path), ParallelConfig(2, 1), CPUS, SERVED)
    (process,) = group.processes
    del group
    assert not process.is_alive()


def _lead(folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    group = WorkerGroup(
        partial(small_model.never, folder), ParallelConfig(3, 1), CPUS, "fork"
    )  # nothing has run here yet
    group.join(small_model.load())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_when_rank_0_ends_the_workers_do(tmp_path: Path, how: signal.Signals) -> None:
    leader = ForkServerProcess(target=_lead, args=(tmp_path,))
    leader.start()
    _until(lambda: len(list(tmp_path.iterdir())) == 2)
    os.kill(leader.pid or 0, how)
    leader.join(SOON)
    _until(lambda: not any(Path("/proc", pid.name).exists() for pid in tmp_path.iterdir()))


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SOON
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
