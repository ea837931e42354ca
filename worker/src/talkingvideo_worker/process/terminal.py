"""What a person sees: one bar for a local run, and sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import PrepareReport, decode_bitmap
from talkingvideo_worker.process.termination import failure_of, trace_of

SPANS = {Stage.PREPARE: (0.0, 0.1), Stage.RENDER: (0.1, 0.95), Stage.STITCH: (0.95, 1.0)}
"""The part of the whole that each stage is shown as."""


def say(text: str, style: str | None = None) -> None:
    """Print on stderr, as it is: no markup, no wrapping in the middle of a path."""
    Console(stderr=True, highlight=False).print(text, style=style, markup=False, emoji=False, soft_wrap=True)


@contextmanager
def failures_for_people() -> Iterator[None]:
    """End the process with the exit status of a failure and its sentence; where nobody is to blame, also its place.

    Raises:
        typer.Exit: Instead of any exception.
    """
    try:
        yield
    except Exception as error:
        failure = failure_of(error)
        if failure.code is ErrorCode.INTERNAL:
            say(trace_of(error))
        say(f"error: {failure} ({failure.code.value})", style="red")
        raise typer.Exit(failure.exit_status) from error


class TerminalReporter:
    """A progress bar over all stages of one video; a context manager.

    Args:
        name: The video's name.
        console: Where to draw; stderr when absent.
    """

    def __init__(self, name: str, console: Console | None = None) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[name]}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console or Console(stderr=True),
        )
        self._task = self._progress.add_task("Starting", total=1.0, name=name)
        self._frames: tuple[int, ...] = ()
        self._missing: list[int] = []
        self._done: dict[int, float] = {}

    @property
    def completed(self) -> float:
        """0..1 of the whole."""
        return self._progress.tasks[0].completed

    def expect(self, report: PrepareReport) -> None:
        """Take note of what there is to render."""
        self._frames = report.chunk_frames
        self._missing = decode_bitmap(report.missing, len(report.chunk_frames))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def report(self, stage: Stage, fraction: float, message: str, chunk: int | None = None) -> None:
        """See `talkingvideo_worker.progress.Reporter`."""
        if chunk is not None:
            self._done[chunk] = fraction
            fraction = self._rendered()
            message = f"chunk {chunk + 1} of {len(self._frames)}, {message[:1].lower()}{message[1:]}"
        start, end = SPANS[stage]
        self._progress.update(
            self._task, completed=start + (end - start) * fraction, description=f"{stage.value}: {message}"
        )

    def _rendered(self) -> float:
        """The rendered part of the frames that were missing."""
        wanted = sum(self._frames[index] for index in self._missing)
        return sum(self._frames[index] * self._done.get(index, 0.0) for index in self._missing) / max(wanted, 1)
