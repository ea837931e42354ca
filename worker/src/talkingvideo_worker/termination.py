"""How a stage ends: its message for the operator, its exit status, its sentence for whoever reads the log."""

from __future__ import annotations

import os
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import FailureReport, TerminationMessage

TERMINATION_LOG = Path("/dev/termination-log")
"""Where the kubelet reads a container's last words; it exists only in a pod."""


def leave(message: TerminationMessage) -> None:
    """Leave a message for the operator; nowhere outside a pod."""
    if TERMINATION_LOG.exists() and os.access(TERMINATION_LOG, os.W_OK):
        TERMINATION_LOG.write_text(message.encode(), encoding="utf-8")


def failure_of(error: BaseException) -> StageError:
    """Any exception as a row of the error table.

    The text of an unexpected exception may hold anything, a signed URL too: only its type is repeated.
    """
    if isinstance(error, StageError):
        return error
    if isinstance(error, MemoryError):
        return StageError(ErrorCode.OOM, "The container's memory did not suffice: raise the profile's limit.")
    return StageError(ErrorCode.INTERNAL, f"An unexpected {type(error).__name__}; the pod's log has the details.")


def leave_failure(error: StageError) -> None:
    """Leave the failure for the operator."""
    leave(TerminationMessage(failure=FailureReport.of(error)))
