"""Asks for tasks in confined children, and turns whatever happens to a child into an error with the input's field."""

from __future__ import annotations

import errno
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self, TypeVar

from pydantic import BaseModel, ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.sandbox.limits import Limits
from talkingvideo_worker.sandbox.messages import MAX_ANSWER, Answer, Ended, Request, Trouble

PASSED_ON = ("LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "TZ")
"""Variables that the server gets: a local run's environment may hold credentials."""

ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""Without them every thread reserves address space, which is limited: 64 MiB for each heap of the C library."""

MAX_LINE = 8 * MAX_ANSWER
"""Bytes of the server's line: the answer as a JSON string, in which a character may take six."""

Result = TypeVar("Result", bound=BaseModel)

_log = logging.getLogger(__name__)


class Sandbox:
    """A server of confined children; a context manager. One task at a time.

    Args:
        tasks: Name of the module with ``TASKS``, see `server`.
        folder: The only folder in which the children may write.
    """

    def __init__(self, tasks: str, folder: Path) -> None:
        self._tasks = tasks
        self.folder = folder
        self.server: subprocess.Popen[bytes] | None = None
        """The server, once it has been started."""
        self._open_doors: tuple[str, ...] = ()
        self.ended: Ended | None = None
        """How the last child ended."""

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def cpu_seconds(self) -> float:
        """Computing time of the last child."""
        return self.ended.cpu_seconds if self.ended else 0.0

    def run(self, task: str, arguments: BaseModel, returns: type[Result], limits: Limits, field: str) -> Result:
        """Perform a task in a child of its own.

        Args:
            task: Name of the task.
            arguments: Its arguments.
            returns: Type of its result, which is validated.
            limits: What the child may use.
            field: The field that named the input, for errors without a field of their own.

        Raises:
            StageError: The task's own, or E_INPUT_VALIDATION when the child crashed or reached a limit.
        """
        request = Request(
            task=task, arguments=arguments.model_dump(mode="json"), folder=str(self.folder.absolute()), limits=limits
        )
        ended = self.ended = self._ask(request, field)
        answer = _answer(ended, limits, field)
        self._log_open_doors(answer.open_doors)
        try:
            return returns.model_validate(answer.result)
        except ValidationError as error:
            raise _unreadable(field) from error

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        self.server = subprocess.Popen(
            [sys.executable, "-P", "-m", "talkingvideo_worker.sandbox.server", self._tasks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment | ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for this process, which then stops the server
        )
        return self.server

    def _stop(self) -> None:
        server, self.server = self.server, None
        if server is not None:
            server.kill()
            server.communicate()

    def _ask(self, request: Request, field: str) -> Ended:
        server = self.server or self._start()
        line = b""
        try:
            _pipe(server.stdin).write(request.model_dump_json().encode() + b"\n")
            _pipe(server.stdin).flush()
            line = _pipe(server.stdout).readline(MAX_LINE)
        except BrokenPipeError:
            pass
        except BaseException:
            self._stop()  # the child may still be at work
            raise
        if not line.endswith(b"\n"):
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=1)  # its own exit status says more than that of being stopped
            self._stop()
            _raise_server_lost(server, field)
        return Ended.model_validate_json(line)

    def _log_open_doors(self, doors: tuple[str, ...]) -> None:
        if doors and doors != self._open_doors:
            self._open_doors = doors
            _log.warning("Inputs are decoded with less protection than planned: %s", "; ".join(doors))


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # narrows the type
    return stream


def _raise_server_lost(server: subprocess.Popen[bytes], field: str) -> NoReturn:
    """The kernel kills the server together with its child where a container's memory is used up."""
    if server.returncode == -signal.SIGKILL:
        raise StageError.invalid("The file needs more memory to decode than the container has.", field)
    raise StageError(ErrorCode.INTERNAL, "The process that decodes inputs has ended; its log says why.")


def too_slow(seconds: float, field: str) -> StageError:
    """The error of a file that takes too long to decode.

    Args:
        seconds: Computing time that it may take.
        field: The field that named it.
    """
    message = (
        f"The file takes more than {seconds:.0f} s of computing time to decode, which its content does not explain: "
        "encode it again with common settings."
    )
    return StageError.invalid(message, field)


def _answer(ended: Ended, limits: Limits, field: str) -> Answer:
    """The answer of a child that has one.

    Raises:
        StageError: For any other end, and for the errors that the child answers with.
    """
    if ended.late or ended.signal == signal.SIGXCPU:
        raise too_slow(limits.cpu_seconds, field)
    if not ended.answer and ended.signal == signal.SIGKILL:
        raise StageError.invalid("The file needs more memory to decode than the container has.", field)
    try:
        answer = Answer.model_validate_json(ended.answer)
    except ValidationError as error:
        raise _unreadable(field) from error
    if answer.failure is not None:
        found = answer.failure
        raise StageError(found.code, found.message, field=found.field or field, retryable=found.retryable)
    if answer.trouble is not None:
        raise _error_of(answer, limits, field)
    return answer


def _error_of(answer: Answer, limits: Limits, field: str) -> StageError | OSError:
    match answer.trouble:
        case Trouble.MEMORY:
            return StageError.invalid(
                f"The file needs more than {limits.memory_bytes / 1e6:.0f} MB of memory to decode: make the picture "
                "smaller, or encode the file again with common settings.",
                field,
            )
        case Trouble.FILE_SIZE:
            return StageError.invalid("The file becomes larger than its length explains when it is decoded.", field)
        case Trouble.DISK:
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        case _:
            _log.warning(
                "A decoder failed:\n%s", "".join(each for each in answer.trace if each.isprintable() or each == "\n")
            )
            return _unreadable(field)


def _unreadable(field: str) -> StageError:
    return StageError.invalid("The file cannot be read: it is damaged.", field)
