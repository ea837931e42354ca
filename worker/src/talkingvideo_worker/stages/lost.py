"""What to say when the store no longer has what a stage needs."""

from __future__ import annotations

from talkingvideo_api.errors import ErrorCode, StageError


def lost(what: str) -> StageError:
    """The error of a stage that cannot help itself: another attempt finds no more, only prepare makes it again.

    Args:
        what: What is missing, in a sentence.
    """
    message = (
        f"{what} It is made again when the video is prepared again: the operator does that by itself as often as the "
        "profile allows prepare attempts, and then when the retry annotation asks for it; a local run, when run again."
    )
    return StageError(ErrorCode.WORKSPACE, message, retryable=False)
