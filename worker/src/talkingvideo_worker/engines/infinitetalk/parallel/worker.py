"""What runs in a worker process (rank 1 and up): load the model, then take part in one window after the other."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import NoReturn

import torch
import torch.distributed as dist

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.oom import first_line, is_gpu_oom, is_host_oom
from talkingvideo_worker.engines.infinitetalk.parallel import process_group
from talkingvideo_worker.engines.infinitetalk.parallel.messages import Command, Denoise, Failed, JoinGroup, Ready
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import UNSHARDED_BRANCHES, BranchSharding
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

LoadModel = Callable[[], AudioWanTransformer3DModel]
"""Loads the model to the current device. It is sent to another process, so it must be picklable."""


def run_worker(rank: int, device: str, load: LoadModel, leader: Connection) -> None:
    """Carry out rank 0's commands until rank 0 ends this process, or ends itself.

    Args:
        rank: Of this process, from 1.
        device: Of this process.
        load: Loads the model.
        leader: The connection to rank 0.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes of a terminal; rank 0 decides
    _exit_with_leader()
    try:
        _select_device(device)
        transformer = load()
        leader.send(Ready())
        _loop(rank, transformer, leader)
    except Exception as error:
        traceback.print_exc()
        leader.send(_failure(error, f"the process of GPU {rank}"))
        sys.exit(1)


def _loop(rank: int, transformer: AudioWanTransformer3DModel, leader: Connection) -> NoReturn:
    sharding: BranchSharding = UNSHARDED_BRANCHES
    while True:
        command: Command = leader.recv()
        match command:
            case JoinGroup(config, port):
                sharding = process_group.join(config, rank, process_group.connect_store(port), transformer)
            case Denoise():
                noise, motion, conditions, schedule = command.unpack(transformer.scale_shift_table.device)
                denoise(transformer, noise, motion, conditions, schedule, _ignore_step, sharding)


def _ignore_step(_step: int) -> None:
    pass


def _select_device(device: str) -> None:
    """Make a GPU the current one; several processes on a CPU divide its cores."""
    if device.startswith("cuda"):
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(1)


def _failure(error: Exception, where: str) -> Failed:
    if isinstance(error, StageError):
        return Failed(error.code, error.message, error.field)
    if is_host_oom(error):
        return Failed(ErrorCode.OOM, f"The host's memory ran out in {where}: {first_line(error)}")
    if is_gpu_oom(error):
        return Failed(ErrorCode.OOM, f"The GPU's memory ran out in {where}: {first_line(error)}", is_gpu_oom=True)
    lost_peer = isinstance(error, (dist.DistError, EOFError)) or "gloo" in str(error)
    message = f"{type(error).__name__} in {where}: {first_line(error)}"
    return Failed(ErrorCode.GENERATION_RUNTIME, message, is_cause=not lost_peer)


def _exit_with_leader() -> None:
    """Exit at once when rank 0 has ended, whatever this process waits for."""
    leader = parent_process()
    if leader is None:
        return

    def watch() -> None:
        wait([leader.sentinel])
        os._exit(1)

    threading.Thread(target=watch, name="leader", daemon=True).start()
