"""The server: ``python -m talkingvideo_worker.sandbox.server MODULE``, one request per line, one line for each end.

It imports the decoders once and forks a child for each request, in milliseconds. It opens no untrusted file itself, has one
thread, and keeps no secret: its environment is almost empty. ``MODULE.TASKS`` maps names to functions from arguments to a
result, both JSON objects.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from talkingvideo_api.errors import StageError
from talkingvideo_worker.sandbox import folders, limits, syscalls
from talkingvideo_worker.sandbox.kernel import PR_SET_PDEATHSIG, prctl
from talkingvideo_worker.sandbox.messages import (
    MAX_ANSWER,
    MAX_FIELD,
    MAX_MESSAGE,
    MAX_TRACE,
    Answer,
    Ended,
    Failure,
    Request,
    Task,
    Trouble,
)

STALLED_SECONDS = 30.0
"""Seconds without any computing time after which a child counts as hung: decoders that ran out of memory may wait for each
other's threads for ever."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def main() -> None:
    """Serve until standard input is closed."""
    tasks: Mapping[str, Task] = import_module(sys.argv[1]).TASKS
    gc.freeze()
    requests, ends = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        ended = _run(Request.model_validate_json(line), tasks)
        ends.write(ended.model_dump_json().encode() + b"\n")
        ends.flush()


def _run(request: Request, tasks: Mapping[str, Task]) -> Ended:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_the_child(request, tasks, writer)
    os.close(writer)
    try:
        answer, late = _read_answer(child, reader, request.limits.wall_seconds)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)  # it has answered, or it never will
        _, status, usage = os.wait4(child, 0)
    return Ended(
        answer=answer.decode("utf-8", "replace"),
        signal=os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
        late=late,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        peak_bytes=usage.ru_maxrss * 1024,
    )


def _read_answer(child: int, reader: int, wall_seconds: float) -> tuple[bytes, bool]:
    """What a child writes until it closes the pipe or its time is over, and whether it is."""
    watch = select.poll()
    watch.register(reader, select.POLLIN)
    watch.register(sys.stdin.fileno(), 0)  # only whether the process that asks has gone
    end = time.monotonic() + wall_seconds
    stalled = _Stalled(child)
    answer = bytearray()
    while len(answer) <= MAX_ANSWER:
        events = dict(watch.poll(1_000))
        if sys.stdin.fileno() in events:
            raise SystemExit(1)
        if reader in events:
            part = os.read(reader, 65_536)
            if not part:
                return bytes(answer), False
            answer += part
        elif time.monotonic() > end or stalled():
            return b"", True
    return bytes(answer[:1]), False


class _Stalled:
    """Whether a process has computed nothing for a while."""

    def __init__(self, process: int) -> None:
        self._statistics = Path(f"/proc/{process}/stat")
        self._ticks = ""
        self._since = time.monotonic()

    def __call__(self) -> bool:
        if not self._statistics.exists():
            return False
        ticks = " ".join(self._statistics.read_text().rpartition(")")[2].split()[11:13])  # utime and stime, proc(5)
        if ticks != self._ticks:
            self._ticks, self._since = ticks, time.monotonic()
        return time.monotonic() - self._since > STALLED_SECONDS


def _be_the_child(request: Request, tasks: Mapping[str, Task], writer: int) -> NoReturn:
    status = 1
    try:
        _keep_only(writer)
        open_doors = _confine(request)
        answer = _perform(tasks[request.task], request.arguments).model_copy(update={"open_doors": open_doors})
        os.writev(writer, [answer.model_dump_json().encode()])
        status = 0
    finally:
        os._exit(status)


def _keep_only(writer: int) -> None:
    """Close every file but the pipe. What a decoder prints goes nowhere: the pod's log is read by the operator."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.closerange(3, writer)
    os.closerange(writer + 1, os.sysconf("SC_OPEN_MAX"))


def _confine(request: Request) -> tuple[str, ...]:
    """Close every door; returns those that this system leaves open: not every one is a Linux of today."""
    doors: tuple[tuple[str, Callable[[], None]], ...] = (
        ("end with the server", partial(prctl, PR_SET_PDEATHSIG, signal.SIGKILL)),
        ("limits", partial(limits.apply, request.limits)),
        ("Landlock", partial(folders.write_only_in, Path(request.folder))),
        ("seccomp", syscalls.refuse_syscalls),
    )
    missing = []
    for name, close in doors:
        try:
            close()
        except (OSError, ValueError, AttributeError) as error:
            missing.append(f"{name}: {error}")
    return tuple(missing)


def _perform(task: Task, arguments: dict[str, Any]) -> Answer:
    try:
        return Answer(result=task(arguments))
    except Exception as error:
        return _answer_to(error)


def _answer_to(error: BaseException) -> Answer:
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    for cause in causes:
        if isinstance(cause, MemoryError):
            return Answer(trouble=Trouble.MEMORY)
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            return Answer(trouble=Trouble.DISK)
        if isinstance(cause, OSError) and cause.errno == errno.EFBIG:
            return Answer(trouble=Trouble.FILE_SIZE)
    if isinstance(error, StageError):
        field = error.field and error.field[:MAX_FIELD]
        return Answer(
            failure=Failure(
                code=error.code, message=error.message[:MAX_MESSAGE], field=field, retryable=error.retryable
            )
        )
    trace = "".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__
    return Answer(trouble=Trouble.DEFECT, trace=trace[-MAX_TRACE:])


if __name__ == "__main__":
    main()
