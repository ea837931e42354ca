"""The worker processes as rank 0 sees them: started, sent commands, watched, and terminated."""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess, ForkServerProcess, SpawnProcess
from multiprocessing.process import BaseProcess
from typing import Literal, cast

from talkingvideo_api.errors import ErrorCode
from talkingvideo_worker.engines.infinitetalk.parallel.messages import Command, Failed, Ready, Reply

_PROCESSES = {"spawn": SpawnProcess, "forkserver": ForkServerProcess, "fork": ForkProcess}

StartMethod = Literal["spawn", "forkserver", "fork"]
"""See ``multiprocessing``. A process that uses CUDA or torch's threads cannot be forked; one that has only imported torch
can, which is faster than importing it again."""

SETTLING_SECONDS = 0.5
"""When one worker ends, others fail too: time to wait for their replies, to tell the cause from its consequences."""

TERMINATION_SECONDS = 5.0
"""Time to terminate in before a process is killed."""


class WorkerFailedError(Exception):
    """A worker cannot continue.

    Args:
        failed: Why.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass(frozen=True)
class WorkerProcess:
    """One worker.

    Attributes:
        rank: From 1.
        process: The operating system's process.
        connection: For commands and replies.
    """

    rank: int
    process: BaseProcess
    connection: Connection


class WorkerProcesses:
    """All workers.

    When one of them ends unexpectedly, the others cannot continue. A thread watches them; it calls ``on_failure``, and from
    then on every method raises what happened.

    Args:
        tasks: What each process runs; called with its connection to this process.
        on_failure: Called once, from the thread, after one has failed.
        start_method: How they are started.
    """

    def __init__(
        self, tasks: Sequence[Callable[[Connection], None]], on_failure: Callable[[], None], start_method: StartMethod
    ) -> None:
        self._workers = tuple(_start(rank, task, start_method) for rank, task in enumerate(tasks, 1))
        self._watcher = _Watcher(self._workers, on_failure)
        threading.Thread(target=self._watcher.run, name="workers", daemon=True).start()

    def await_ready(self) -> None:
        """Wait until each has loaded its model.

        Raises:
            WorkerFailedError: When one fails.
        """
        self._watcher.await_ready()

    def send(self, command: Command) -> None:
        """Send a command to all of them.

        Raises:
            WorkerFailedError: When one has failed.
            OSError: When one has just ended; ``failure`` will return why.
        """
        self.check()
        for worker in self._workers:
            worker.connection.send(command)

    def check(self) -> None:
        """Raise the failure of a worker, if there is one.

        Raises:
            WorkerFailedError: When one has failed.
        """
        self._watcher.check()

    def failure(self, timeout: float) -> Failed | None:
        """Why a worker failed; None when none has.

        Args:
            timeout: Seconds to wait for a failure.
        """
        return self._watcher.failure(timeout)

    def terminate(self) -> None:
        """Terminate all of them now: their work is worthless without this process."""
        self._watcher.stop()
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + TERMINATION_SECONDS
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.connection.close()

    @property
    def processes(self) -> tuple[BaseProcess, ...]:
        """The operating system's processes, the first of them rank 1."""
        return tuple(worker.process for worker in self._workers)


def _start(rank: int, task: Callable[[Connection], None], start_method: StartMethod) -> WorkerProcess:
    ours, theirs = multiprocessing.Pipe()
    process = _PROCESSES[start_method](target=task, args=(theirs,), name=f"gpu-{rank}", daemon=True)
    process.start()
    theirs.close()
    return WorkerProcess(rank, process, ours)


class _Watcher:
    """Receives the workers' replies and notices their ends."""

    def __init__(self, workers: Sequence[WorkerProcess], on_failure: Callable[[], None]) -> None:
        self._watched = {worker.rank: worker for worker in workers}
        self._loading = set(self._watched)
        self._on_failure = on_failure
        self._failures: list[Failed] = []
        self._failure: Failed | None = None
        self._changed = threading.Condition()
        self._stopped, self._stop = multiprocessing.Pipe(duplex=False)

    def run(self) -> None:
        """Watch until stopped or until a worker fails."""
        while not self._failures:
            if not self._wait(None):
                return
        settled = time.monotonic() + SETTLING_SECONDS
        while (rest := settled - time.monotonic()) > 0:
            if not self._wait(rest):
                return
        try:
            self._on_failure()
        finally:
            with self._changed:
                self._failure = min(self._failures, key=lambda failed: not failed.is_cause)
                self._changed.notify_all()

    def _wait(self, seconds: float | None) -> bool:
        """Handle the next replies and ends; False when stopped."""
        connections = {worker.connection: worker for worker in self._active}
        sentinels = {worker.process.sentinel: worker for worker in self._active}
        ready = wait([self._stopped, *connections, *sentinels], seconds)
        if self._stopped in ready:
            return False
        for source in ready:
            worker = connections[source] if isinstance(source, Connection) else sentinels[cast(int, source)]
            self._receive(worker)  # of an ended worker too: its last reply says why it ended
        return True

    @property
    def _active(self) -> list[WorkerProcess]:
        with self._changed:
            return list(self._watched.values())

    def _receive(self, worker: WorkerProcess) -> None:
        try:
            reply: Reply = worker.connection.recv()
        except (EOFError, OSError):
            self._on_exit(worker)
            return
        match reply:
            case Ready():
                with self._changed:
                    self._loading.discard(worker.rank)
                    self._changed.notify_all()
            case Failed():
                self._on_failed(worker, reply)

    def _on_exit(self, worker: WorkerProcess) -> None:
        """A worker has ended, or will in a moment; there are no more replies."""
        worker.process.join(SETTLING_SECONDS)
        message = f"The process of GPU {worker.rank} {_exit_reason(worker.process)}."
        self._on_failed(worker, Failed(_error_code(worker.process), message))

    def _on_failed(self, worker: WorkerProcess, failed: Failed) -> None:
        if self._is_watched(worker):
            self._failures.append(failed)
            self._stop_watching(worker)

    def _is_watched(self, worker: WorkerProcess) -> bool:
        with self._changed:
            return worker.rank in self._watched

    def _stop_watching(self, worker: WorkerProcess) -> None:
        with self._changed:
            self._watched.pop(worker.rank, None)
            self._loading.discard(worker.rank)
            self._changed.notify_all()

    def await_ready(self) -> None:
        """See ``WorkerProcesses.await_ready``."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._loading or self._failures))
        self.check()

    def check(self) -> None:
        """See ``WorkerProcesses.check``. Results of exchanges after a failure are worthless, so it waits for the cause."""
        if failed := self.failure(None if self._failures else 0.0):
            raise WorkerFailedError(failed)

    def failure(self, timeout: float | None) -> Failed | None:
        """See ``WorkerProcesses.failure``; None waits without a limit."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, timeout)
            return self._failure

    def stop(self) -> None:
        """Make ``run`` return."""
        with contextlib.suppress(OSError):
            self._stop.send(None)


def _exit_reason(process: BaseProcess) -> str:
    status = process.exitcode
    if status is None:
        return "does not respond any more"
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _error_code(process: BaseProcess) -> ErrorCode:
    """The kernel sends SIGKILL to processes that ask for more memory than there is."""
    return ErrorCode.OOM if process.exitcode == -signal.SIGKILL else ErrorCode.GENERATION_RUNTIME
