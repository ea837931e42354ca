"""The other processes, as the leading one sees them: started, told what to do, watched, and ended."""

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
from talkingvideo_worker.engines.infinitetalk.parallel.orders import Answer, Failed, Order, Ready

_PROCESSES = {"spawn": SpawnProcess, "forkserver": ForkServerProcess, "fork": ForkProcess}

StartMethod = Literal["spawn", "forkserver", "fork"]
"""See ``multiprocessing``. A process with CUDA, or with torch's threads, can't be forked; one that has only imported
torch can be, which is quicker than to import it again."""

SETTLING_SECONDS = 0.5
"""One process's end makes others fail: so long is waited for what they say, to tell the cause from what followed."""

ENDING_SECONDS = 5.0
"""Time to end in before a process is killed."""


class MemberError(Exception):
    """Another process cannot go on.

    Args:
        failed: What happened to it.
    """

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed


@dataclass(frozen=True)
class Member:
    """A process.

    Attributes:
        rank: Its number, from 1.
        process: It.
        connection: To it.
    """

    rank: int
    process: BaseProcess
    connection: Connection


class Members:
    """Processes that work for this one.

    When one of them ends before it is told to, the others can't go on. A thread watches them; it calls ``on_failure``, and
    from then on everything that is asked of them raises what happened.

    Args:
        tasks: For each process what it runs; called with a connection to this one.
        on_failure: Called once, from the thread, when one has failed.
        start_method: How they are started.
    """

    def __init__(
        self, tasks: Sequence[Callable[[Connection], None]], on_failure: Callable[[], None], start_method: StartMethod
    ) -> None:
        self._members = tuple(_start(rank, task, start_method) for rank, task in enumerate(tasks, 1))
        self._watch = _Watch(self._members, on_failure)
        threading.Thread(target=self._watch.run, name="members", daemon=True).start()

    def await_ready(self) -> None:
        """Wait until each has loaded its model.

        Raises:
            MemberError: When one fails.
        """
        self._watch.await_ready()

    def tell(self, order: Order) -> None:
        """Give all of them an order.

        Raises:
            MemberError: When one has failed.
            OSError: When one has just ended; ``failure`` will know.
        """
        self.check()
        for member in self._members:
            member.connection.send(order)

    def check(self) -> None:
        """Look whether one has failed.

        Raises:
            MemberError: When one has.
        """
        self._watch.check()

    def failure(self, patience: float) -> Failed | None:
        """What one of them failed with.

        Args:
            patience: Seconds to wait for it.
        """
        return self._watch.failure(patience)

    def end(self) -> None:
        """End all of them now: what they do is worthless without this process."""
        self._watch.stop()
        for member in self._members:
            member.process.terminate()
        deadline = time.monotonic() + ENDING_SECONDS
        for member in self._members:
            member.process.join(max(0.0, deadline - time.monotonic()))
            if member.process.is_alive():
                member.process.kill()
                member.process.join()
            member.connection.close()

    @property
    def processes(self) -> tuple[BaseProcess, ...]:
        """They, the first of them rank 1."""
        return tuple(member.process for member in self._members)


def _start(rank: int, task: Callable[[Connection], None], start_method: StartMethod) -> Member:
    ours, theirs = multiprocessing.Pipe()
    process = _PROCESSES[start_method](target=task, args=(theirs,), name=f"gpu-{rank}", daemon=True)
    process.start()
    theirs.close()
    return Member(rank, process, ours)


class _Watch:
    """Hears the processes' answers and their ends."""

    def __init__(self, members: Sequence[Member], on_failure: Callable[[], None]) -> None:
        self._watched = {member.rank: member for member in members}
        self._waited_for = set(self._watched)
        self._on_failure = on_failure
        self._failures: list[Failed] = []
        self._failure: Failed | None = None
        self._changed = threading.Condition()
        self._stopped, self._stop = multiprocessing.Pipe(duplex=False)

    def run(self) -> None:
        """Listen until stopped or until one fails."""
        while not self._failures:
            if not self._listen(None):
                return
        settled = time.monotonic() + SETTLING_SECONDS
        while (rest := settled - time.monotonic()) > 0:
            if not self._listen(rest):
                return
        try:
            self._on_failure()
        finally:
            with self._changed:
                self._failure = min(self._failures, key=lambda failed: not failed.is_cause)
                self._changed.notify_all()

    def _listen(self, seconds: float | None) -> bool:
        """Take in what comes next; False when stopped."""
        connections = {member.connection: member for member in self._listened_to}
        ends = {member.process.sentinel: member for member in self._listened_to}
        heard = wait([self._stopped, *connections, *ends], seconds)
        if self._stopped in heard:
            return False
        for source in heard:
            member = connections[source] if isinstance(source, Connection) else ends[cast(int, source)]
            self._hear(member)  # its last words come before its end
        return True

    @property
    def _listened_to(self) -> list[Member]:
        with self._changed:
            return list(self._watched.values())

    def _hear(self, member: Member) -> None:
        try:
            answer: Answer = member.connection.recv()
        except (EOFError, OSError):
            self._mourn(member)
            return
        match answer:
            case Ready():
                with self._changed:
                    self._waited_for.discard(member.rank)
                    self._changed.notify_all()
            case Failed():
                self._fail(member, answer)

    def _mourn(self, member: Member) -> None:
        """A process has ended, or will in a moment: it says no more."""
        member.process.join(SETTLING_SECONDS)
        message = f"The process of GPU {member.rank} {_ending(member.process)}."
        self._fail(member, Failed(_code(member.process), message))

    def _fail(self, member: Member, failed: Failed) -> None:
        if self.watches(member):
            self._failures.append(failed)
            self.forget(member)

    def watches(self, member: Member) -> bool:
        """Whether it is still expected to work."""
        with self._changed:
            return member.rank in self._watched

    def forget(self, member: Member) -> None:
        """Expect nothing of it any more."""
        with self._changed:
            self._watched.pop(member.rank, None)
            self._waited_for.discard(member.rank)
            self._changed.notify_all()

    def await_ready(self) -> None:
        """Wait for all."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or not (self._waited_for or self._failures))
        self.check()

    def check(self) -> None:
        """See ``Members.check``. Once one has failed, what comes of an exchange is worth nothing: wait for the cause."""
        if failed := self.failure(None if self._failures else 0.0):
            raise MemberError(failed)

    def failure(self, patience: float | None) -> Failed | None:
        """See ``Members.failure``; None waits for as long as it takes."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None, patience)
            return self._failure

    def stop(self) -> None:
        """Let ``run`` return."""
        with contextlib.suppress(OSError):
            self._stop.send(None)


def _ending(process: BaseProcess) -> str:
    status = process.exitcode
    if status is None:
        return "does not answer any more"
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _code(process: BaseProcess) -> ErrorCode:
    """The kernel kills with SIGKILL whoever asks for more memory than there is."""
    return ErrorCode.OOM if process.exitcode == -signal.SIGKILL else ErrorCode.GENERATION_RUNTIME
