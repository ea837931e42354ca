"""How a stage ends: the termination message for the operator, and any exception as a row of the error table."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import Report, encode_report

TERMINATION_LOG = Path("/dev/termination-log")
"""File from which the kubelet reads a container's termination message; it exists only in a pod."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT}


def write_report(report: Report, log: Path = TERMINATION_LOG) -> None:
    """Write the termination message.

    Args:
        report: How the stage ended.
        log: File of the message. Nothing is written if it does not exist, as outside a pod.
    """
    if log.exists() and os.access(log, os.W_OK):
        log.write_text(encode_report(report), encoding="utf-8")


def to_stage_error(error: BaseException) -> StageError:
    """Convert any exception to a row of the error table.

    The text of an unexpected exception may contain anything, even a signed URL: only its type is repeated.
    """
    if isinstance(error, StageError) and error.code not in {ErrorCode.FFMPEG, ErrorCode.INTERNAL}:
        return error
    for cause in _causes(error):
        if isinstance(cause, MemoryError):
            return StageError(ErrorCode.OOM, "The container ran out of memory: raise the memory limit in the profile.")
        if isinstance(cause, OSError) and cause.errno in DISK_FULL:
            message = (
                "The disk for temporary files is full: raise scratch in the profile, or set TMPDIR in a local run."
            )
            return StageError(ErrorCode.WORKSPACE, message)
        if isinstance(cause, ModuleNotFoundError) and not str(cause.name).startswith("talkingvideo"):
            message = (
                f"This needs {cause.name}, which is not installed here: install talkingvideo-worker with the extra that "
                "has it (infinitetalk for the model and its weights), or use the worker's GPU image."
            )
            return StageError(ErrorCode.NOT_SUPPORTED, message)
    if isinstance(error, StageError):
        return error
    return StageError(ErrorCode.INTERNAL, f"Unexpected {type(error).__name__}; see the log for details.")


def format_trace(error: BaseException) -> str:
    """Where an exception came from, causes first, without the texts of the exceptions: see `to_stage_error`."""
    return "\n".join(
        f"{''.join(traceback.format_tb(cause.__traceback__))}{_name(cause)}" for cause in _causes(error)[::-1]
    )


def _name(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{kind}: {error.strerror}" if isinstance(error, OSError) and error.strerror else kind


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and its causes, outermost first."""
    causes = [error]
    while (cause := causes[-1].__cause__ or causes[-1].__context__) is not None and cause not in causes:
        causes.append(cause)
    return causes
