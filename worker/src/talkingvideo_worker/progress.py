"""Progress of a stage: a line of JSON in a pod's log, a bar on a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress, ProgressLine


class Reporter(Protocol):
    """Whoever wants to know how far a stage is."""

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        """Take note.

        Args:
            stage: The stage.
            fraction: 0..1 of the stage, or of the chunk.
            message: What is being done.
            chunk: Index of the chunk, for render.
        """
        ...


class LogReporter:
    """Writes progress lines, at most one in ``interval`` seconds unless the message changes."""

    def __init__(self, stream: TextIO | None = None, interval: float = 1.0) -> None:
        self._stream = stream or sys.stdout
        self._interval = interval
        self._last = ("", 0.0)

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        """See `Reporter`."""
        said, when = self._last
        now = time.monotonic()
        if message == said and now - when < self._interval and fraction < 1:
            return
        self._last = (message, now)
        progress = Progress(stage=stage, fraction=round(fraction, 4), message=message, chunk=chunk)
        self._stream.write(ProgressLine(progress=progress).to_json() + "\n")
        self._stream.flush()


ProgressCallback = Callable[[float, str], None]
"""Told how far something is, 0..1, and what is being done, for people."""


def ignore_progress(_fraction: float, _message: str) -> None:
    """A `ProgressCallback` for nobody."""
