"""Why an input could not be fetched, as errors of the stage."""

from __future__ import annotations

from talkingvideo_api.errors import ErrorCode, StageError


def refused(message: str, field: str) -> StageError:
    """The input cannot be used as it is: the user has to change it."""
    return StageError(ErrorCode.INPUT_VALIDATION, message, field=field)


def gone(message: str, field: str) -> StageError:
    """The input is not there, or not for us: asking again would give the same answer."""
    return StageError(ErrorCode.DOWNLOAD_FAILED, message, field=field, retryable=False)


def transient(message: str, field: str) -> StageError:
    """The input could not be fetched now."""
    return StageError(ErrorCode.DOWNLOAD_FAILED, message, field=field, retryable=True)


def no_access(message: str, field: str) -> StageError:
    """The store refuses the credentials."""
    return StageError(ErrorCode.STORE_ACCESS, message, field=field)
