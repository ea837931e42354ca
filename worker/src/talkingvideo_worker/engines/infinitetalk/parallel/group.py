"""Several GPUs that render each window together.

This process is rank 0: it encodes, decodes, and draws the noise. The GPUs divide the denoising, nearly all of the time: for
each window the workers are sent what it starts from, and take the same steps in lockstep, each with its shard. So they hold
the transformer only, and random numbers, pictures and audio come from one place.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.process import BaseProcess
from typing import cast

import torch
from torch import Tensor

from talkingvideo_api.errors import ERRORS, ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.parallel import process_group
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.parallel.messages import Denoise, Failed, JoinGroup
from talkingvideo_worker.engines.infinitetalk.parallel.processes import StartMethod, WorkerFailedError, WorkerProcesses
from talkingvideo_worker.engines.infinitetalk.parallel.worker import LoadModel, run_worker
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, Denoiser, Schedule, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import UNSHARDED_BRANCHES, Branch, BranchSharding
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

FAILURE_SECONDS = 5.0
"""A failed exchange mostly means that a worker has ended: time to wait for the report of it."""

STUCK_SECONDS = 30.0
"""After a worker's end, time for this process to leave its exchange with it before this process is ended too."""


class WorkerGroup:
    """Workers on other GPUs, which load the model while this process does, and end with this object.

    Args:
        load: Loads the transformer to the current device, in each worker.
        config: How the work is divided.
        devices: Of all ranks, this process's first; all GPUs or all CPUs.
        start_method: How workers are started.
    """

    def __init__(
        self, load: LoadModel, config: ParallelConfig, devices: Sequence[str], start_method: StartMethod = "spawn"
    ) -> None:
        self._config, self._sharding = config, cast(BranchSharding, UNSHARDED_BRANCHES)
        self._idle = threading.Event()
        self._idle.set()
        tasks = [
            partial(run_worker, rank, device, load) for rank, device in enumerate(devices[1 : config.world_size], 1)
        ]
        self._workers = WorkerProcesses(tasks, partial(_interrupt, self._idle), start_method)
        self._finalizer = weakref.finalize(self, _terminate, self._workers)

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:
        """Wait until all workers have loaded, and divide the work.

        Args:
            transformer: This process's; from now on it computes its shard of every prediction.

        Returns:
            ``denoise``.

        Raises:
            StageError: When a worker fails.
            torch.OutOfMemoryError: When the memory of another GPU runs out.
        """
        with self._exchanging():
            self._workers.await_ready()
            store = process_group.make_store()
            self._workers.send(JoinGroup(self._config, store.port))
            self._sharding = process_group.join(self._config, 0, store, transformer)
        return self.denoise

    def denoise(
        self,
        transformer: AudioWanTransformer3DModel,
        noise: Tensor,
        motion: Tensor,
        conditions: Mapping[Branch, Condition],
        schedule: Schedule,
        on_step: Callable[[int], None],
    ) -> Tensor:
        """Denoise one window together; see ``denoise``.

        Raises:
            StageError: When a worker fails. The group cannot be used any more then.
            torch.OutOfMemoryError: When the memory of another GPU runs out; likewise.
        """
        with self._exchanging():
            self._workers.send(Denoise.pack((noise, motion, conditions, schedule)))
            latents = denoise(transformer, noise, motion, conditions, schedule, on_step, self._sharding)
            process_group.synchronise(latents.device)
            self._workers.check()
        return latents

    @property
    def processes(self) -> tuple[BaseProcess, ...]:
        """The workers' processes, the first of them rank 1."""
        return self._workers.processes

    def terminate(self) -> None:
        """Terminate the workers."""
        self._finalizer()

    @contextmanager
    def _exchanging(self) -> Iterator[None]:
        """While ranks wait for each other: the failure of one ends all, and its cause is raised."""
        self._idle.clear()
        try:
            yield
        except WorkerFailedError as error:
            self.terminate()
            raise _error_of(error.failed) from None
        except torch.OutOfMemoryError:
            self.terminate()
            raise
        except Exception:
            cause = self._workers.failure(timeout=FAILURE_SECONDS)
            self.terminate()
            if cause is not None:
                raise _error_of(cause) from None
            raise
        except BaseException:
            self.terminate()
            raise
        finally:
            self._idle.set()


def _error_of(failed: Failed) -> Exception:
    """A worker's failure as an error of this process; memory that ran out there is treated like memory that ran out here."""
    if failed.is_gpu_oom:
        return torch.OutOfMemoryError(failed.message)
    return StageError(failed.code, failed.message, field=failed.field)


def _interrupt(idle: threading.Event) -> None:
    """Bring this process out of an exchange that will never end, if need be by ending the process."""
    rescue = threading.Timer(STUCK_SECONDS, _exit_unless, (idle,))
    rescue.daemon = True
    rescue.start()
    process_group.abort()


def _exit_unless(idle: threading.Event) -> None:
    if not idle.is_set():
        print("The process of another GPU ended, and this one does not return from its exchange", file=sys.stderr)  # noqa: T201
        os._exit(ERRORS[ErrorCode.GENERATION_RUNTIME].exit_status)


def _terminate(workers: WorkerProcesses) -> None:
    workers.terminate()
    process_group.abort()
