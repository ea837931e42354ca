"""Why an input could not be fetched. What the user has to change is ``StageError.invalid``."""

from __future__ import annotations

from talkingvideo_api.errors import ErrorCode, StageError


def permanent(message: str, field: str) -> StageError:
    """The input does not exist or cannot be read: another attempt gets the same answer."""
    return StageError(ErrorCode.DOWNLOAD_FAILED, message, field=field, retryable=False)


def transient(message: str, field: str) -> StageError:
    """The input could not be fetched this time."""
    return StageError(ErrorCode.DOWNLOAD_FAILED, message, field=field, retryable=True)


def access_denied(message: str, field: str) -> StageError:
    """The store refuses the credentials."""
    return StageError(ErrorCode.STORE_ACCESS, message, field=field)
