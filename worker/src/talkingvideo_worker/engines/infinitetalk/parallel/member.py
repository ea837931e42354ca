"""What each process but the leading one does: load the model, then take part in one window after the other."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.retry import first_line, is_gpu_full, is_host_full
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel import grid
from talkingvideo_worker.engines.infinitetalk.parallel.orders import Denoise, Failed, Join, Order, Ready
from talkingvideo_worker.engines.infinitetalk.sampling.branch_share import ALL_BRANCHES, BranchShare
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise

Load = Callable[[], AudioWanTransformer3DModel]
"""Loads the model to the current device; goes to another process, so it can be pickled."""


def serve(rank: int, device: str, load: Load, leader: Connection) -> None:
    """Obey until ended, by the leading process or with it.

    Args:
        rank: The process's number, from 1.
        device: Its device.
        load: Loads the model.
        leader: To the leading process.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the leader decides
    _end_with_leader()
    try:
        _use(device)
        transformer = load()
        leader.send(Ready())
        _obey(rank, transformer, leader)
    except Exception as error:
        traceback.print_exc()
        leader.send(_failure(error, f"the process of GPU {rank}"))
        sys.exit(1)


def _obey(rank: int, transformer: AudioWanTransformer3DModel, leader: Connection) -> NoReturn:
    share: BranchShare = ALL_BRANCHES
    while True:
        order: Order = leader.recv()
        match order:
            case Join(layout, port):
                share = grid.enter(grid.Place(layout, rank, grid.store_at(port)), transformer)
            case Denoise(arguments):
                noise, motion, conditions, schedule = unpacked(arguments, transformer)
                denoise(transformer, noise, motion, conditions, schedule, _silent, share)


def packed(*arguments: Any) -> bytes:
    """Arguments with tensors in them, for another process and another device."""
    buffer = io.BytesIO()
    torch.save(arguments, buffer)
    return buffer.getvalue()


def unpacked(arguments: bytes, transformer: AudioWanTransformer3DModel) -> Any:
    """What ``packed`` was given, with its tensors on the model's device."""
    device = transformer.scale_shift_table.device
    return torch.load(io.BytesIO(arguments), map_location=device, weights_only=False)  # from the parent process alone


def _silent(_step: int) -> None:
    pass


def _use(device: str) -> None:
    """Make a GPU the current one; several processes on a CPU share its cores."""
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)


def _failure(error: Exception, where: str) -> Failed:
    if isinstance(error, StageError):
        return Failed(error.code, error.message, error.field)
    if is_host_full(error):
        return Failed(ErrorCode.OOM, f"The host's memory ran out in {where}: {first_line(error)}")
    if is_gpu_full(error):
        return Failed(ErrorCode.OOM, f"The GPU's memory ran out in {where}: {first_line(error)}", is_full=True)
    lost = isinstance(error, (dist.DistError, EOFError)) or "gloo" in str(error)
    message = f"{type(error).__name__} in {where}: {first_line(error)}"
    return Failed(ErrorCode.GENERATION_RUNTIME, message, is_cause=not lost)


def _end_with_leader() -> None:
    """End at once when the leading process is gone, whatever this one waits for."""
    leader = parent_process()
    if leader is None:
        return

    def watch() -> None:
        wait([leader.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="leader", daemon=True).start()
