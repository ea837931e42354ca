"""How a stage ends: its message for the operator, its exit status, its sentence for whoever reads the log."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import Report, encode_report

TERMINATION_LOG = Path("/dev/termination-log")
"""Where the kubelet reads a container's last words; it exists only in a pod."""

FULL = {errno.ENOSPC, errno.EDQUOT}


def write_report(report: Report, log: Path = TERMINATION_LOG) -> None:
    """Write the termination message.

    Args:
        report: How the stage ended.
        log: Its file. Nothing is written where the file does not exist: outside a pod.
    """
    if log.exists() and os.access(log, os.W_OK):
        log.write_text(encode_report(report), encoding="utf-8")


def failure_of(error: BaseException) -> StageError:
    """Any exception as a row of the error table.

    The text of an unexpected exception may hold anything, a signed URL too: only its type is repeated.
    """
    if isinstance(error, StageError) and error.code not in {ErrorCode.FFMPEG, ErrorCode.INTERNAL}:
        return error
    for cause in _chain(error):
        if isinstance(cause, MemoryError):
            return StageError(ErrorCode.OOM, "The container's memory did not suffice: raise the profile's limit.")
        if isinstance(cause, OSError) and cause.errno in FULL:
            message = "There is no room left for temporary files: raise the profile's scratch; locally, set TMPDIR."
            return StageError(ErrorCode.WORKSPACE, message)
    if isinstance(error, StageError):
        return error
    return StageError(ErrorCode.INTERNAL, f"An unexpected {type(error).__name__}; the log has the details.")


def trace_of(error: BaseException) -> str:
    """Where an exception came from, cause first, without the exceptions' texts: see `failure_of`."""
    return "\n".join(f"{''.join(traceback.format_tb(it.__traceback__))}{_named(it)}" for it in _chain(error)[::-1])


def _named(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{kind}: {error.strerror}" if isinstance(error, OSError) and error.strerror else kind


def _chain(error: BaseException) -> list[BaseException]:
    """An exception and what caused it, outermost first."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    return chain
