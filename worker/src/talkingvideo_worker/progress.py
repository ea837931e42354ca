"""Progress of a stage: its interface, and the lines of JSON that a pod logs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress, ProgressLine


class Reporter(Protocol):
    """Receives the progress of stages."""

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        """Report progress.

        Args:
            stage: The stage.
            fraction: The finished part of the stage, or of the chunk, 0..1.
            message: Current activity, for people.
            chunk: Index of the chunk; None for stages other than render.
        """
        ...


class LogReporter:
    """Writes progress as lines of JSON.

    Args:
        stream: Where to write; stdout when absent.
        interval: Seconds between two lines, unless the message changes or the fraction is 1.
    """

    def __init__(self, stream: TextIO | None = None, interval: float = 1.0) -> None:
        self._stream = stream or sys.stdout
        self._interval = interval
        self._last = ("", 0.0)

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        """See `Reporter`."""
        last_message, last_time = self._last
        now = time.monotonic()
        if message == last_message and now - last_time < self._interval and fraction < 1:
            return
        self._last = (message, now)
        progress = Progress(stage=stage, fraction=round(fraction, 4), message=message, chunk=chunk)
        self._stream.write(ProgressLine(progress=progress).to_json() + "\n")
        self._stream.flush()


ProgressCallback = Callable[[float, str], None]
"""Called with the finished fraction, 0..1, and the current activity, for people."""


def ignore_progress(_fraction: float, _message: str) -> None:
    """A `ProgressCallback` that does nothing."""
