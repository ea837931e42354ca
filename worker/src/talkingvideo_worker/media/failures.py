"""FFmpeg's failures as the stage's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import av.error

from talkingvideo_api.errors import ErrorCode, StageError


@contextmanager
def ffmpeg_failures(doing: str) -> Iterator[None]:
    """Turn what FFmpeg raises into a StageError.

    Args:
        doing: What was tried, as the start of a sentence: ``"Joining the segments"``.

    Raises:
        StageError: E_FFMPEG, with FFmpeg's reason but without paths.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        reason = error.strerror or type(error).__name__
        raise StageError(ErrorCode.FFMPEG, f"{doing} failed: {reason}") from error
