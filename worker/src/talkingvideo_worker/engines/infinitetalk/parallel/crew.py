"""Several GPUs that make each window together.

This process leads: it encodes, decodes, and draws the noise. What the GPUs share is the denoising, nearly all of the
time: for each window the others are sent what it starts from, and make the same steps in lockstep, each its part. So
they hold the transformer only, and there is one place where random numbers, pictures and sound come from.
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
from talkingvideo_worker.engines.infinitetalk.loop import Denoiser
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel import grid
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout
from talkingvideo_worker.engines.infinitetalk.parallel.member import Load, packed, serve
from talkingvideo_worker.engines.infinitetalk.parallel.members import MemberError, Members, StartMethod
from talkingvideo_worker.engines.infinitetalk.parallel.orders import Denoise, Failed, Join
from talkingvideo_worker.engines.infinitetalk.sampling.branch_share import ALL_BRANCHES, BranchShare
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, Schedule, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch

NOTICE_SECONDS = 5.0
"""A failed exchange is mostly another process's end: so long is waited for word of it."""

STUCK_SECONDS = 30.0
"""After another process's end, time for this one to come out of an exchange with it before it is ended too."""


class Crew:
    """Processes on other GPUs, which load the model while this one does, and end with this object.

    Args:
        load: Loads the transformer to the current device, in each of the other processes.
        layout: How the work is divided.
        devices: Of all processes, this one's first; all GPUs or all CPUs.
        start_method: How processes are started.
    """

    def __init__(self, load: Load, layout: Layout, devices: Sequence[str], start_method: StartMethod = "spawn") -> None:
        self._layout, self._share = layout, cast(BranchShare, ALL_BRANCHES)
        self._idle = threading.Event()
        self._idle.set()
        tasks = [partial(serve, rank, device, load) for rank, device in enumerate(devices[1 : layout.ranks], 1)]
        self._members = Members(tasks, partial(_interrupt, self._idle), start_method)
        self._end = weakref.finalize(self, _disband, self._members)

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:
        """Wait until all have loaded, and divide the work.

        Args:
            transformer: This process's; from now on it calculates its part of every prediction.

        Returns:
            ``denoise``.

        Raises:
            StageError: When another process fails.
            torch.OutOfMemoryError: When another GPU is full.
        """
        with self._together():
            self._members.await_ready()
            store = grid.make_store()
            self._members.tell(Join(self._layout, store.port))
            self._share = grid.enter(grid.Place(self._layout, 0, store), transformer)
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
            StageError: When another process fails. No window can be made any more then.
            torch.OutOfMemoryError: When another GPU is full; likewise.
        """
        with self._together():
            self._members.tell(Denoise(packed(noise, motion, conditions, schedule)))
            latents = denoise(transformer, noise, motion, conditions, schedule, on_step, self._share)
            grid.synchronise(latents.device)
            self._members.check()
        return latents

    @property
    def processes(self) -> tuple[BaseProcess, ...]:
        """The other processes, the first of them rank 1."""
        return self._members.processes

    def disband(self) -> None:
        """End the other processes."""
        self._end()

    @contextmanager
    def _together(self) -> Iterator[None]:
        """While processes wait for each other: one's failure ends all, and its cause is told."""
        self._idle.clear()
        try:
            yield
        except MemberError as error:
            self.disband()
            raise _told(error.failed) from None
        except torch.OutOfMemoryError:
            self.disband()
            raise
        except Exception:
            cause = self._members.failure(patience=NOTICE_SECONDS)
            self.disband()
            if cause is not None:
                raise _told(cause) from None
            raise
        except BaseException:
            self.disband()
            raise
        finally:
            self._idle.set()


def _told(failed: Failed) -> Exception:
    """Another process's failure as this one's; memory that ran out there is like memory that ran out here."""
    if failed.is_full:
        return torch.OutOfMemoryError(failed.message)
    return StageError(failed.code, failed.message, field=failed.field)


def _interrupt(idle: threading.Event) -> None:
    """Bring the leading thread out of an exchange that will never end, whatever it takes."""
    rescue = threading.Timer(STUCK_SECONDS, _end_unless, (idle,))
    rescue.daemon = True
    rescue.start()
    grid.leave()


def _end_unless(idle: threading.Event) -> None:
    if not idle.is_set():
        print("Another GPU's process ended, and this one does not come back from its exchange", file=sys.stderr)  # noqa: T201
        os._exit(ERRORS[ErrorCode.GENERATION_RUNTIME].exit_status)


def _disband(members: Members) -> None:
    members.end()
    grid.leave()
