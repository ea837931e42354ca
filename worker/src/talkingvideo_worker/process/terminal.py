"""Output for people: messages on stderr, and one progress bar for a local run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import PrepareReport, decode_bitmap
from talkingvideo_api.texts import printable
from talkingvideo_worker.process.termination import format_trace, to_stage_error

STAGE_SPANS = {Stage.PREPARE: (0.0, 0.1), Stage.RENDER: (0.1, 0.95), Stage.STITCH: (0.95, 1.0)}
"""Start and end of each stage on the progress bar."""


def print_message(text: str, style: str | None = None) -> None:
    """Print a text on stderr: without markup, line breaks inside a path, and what terminals obey."""
    shown = "\n".join(map(printable, text.split("\n")))
    Console(stderr=True, highlight=False).print(shown, style=style, markup=False, emoji=False, soft_wrap=True)


def print_warnings(warnings: Iterable[str]) -> None:
    """Print what the user should know about a video, on stderr."""
    for warning in warnings:
        print_message(f"warning: {warning}", style="yellow")


@contextmanager
def exit_on_failure() -> Iterator[None]:
    """Turn any exception into a message and an exit status; unexpected ones also print where they came from.

    Raises:
        typer.Exit: With the exit status of the error.
    """
    try:
        yield
    except Exception as error:
        failure = to_stage_error(error)
        if failure.code is ErrorCode.INTERNAL:
            print_message(format_trace(error))
        print_message(f"error: {failure} ({failure.code.value})", style="red")
        raise typer.Exit(failure.exit_status) from error


class TerminalReporter:
    """A progress bar over all stages of one video; a context manager.

    Args:
        name: Name of the video.
        console: Where the bar is drawn; stderr when absent.
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
        """The finished fraction of the video, 0..1."""
        return self._progress.tasks[0].completed

    def expect(self, report: PrepareReport) -> None:
        """Scale the bar to the chunks that have to be rendered."""
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
        start, end = STAGE_SPANS[stage]
        self._progress.update(
            self._task, completed=start + (end - start) * fraction, description=f"{stage.value}: {message}"
        )

    def _rendered(self) -> float:
        """The rendered fraction of the missing frames."""
        missing = sum(self._frames[index] for index in self._missing)
        return sum(self._frames[index] * self._done.get(index, 0.0) for index in self._missing) / max(missing, 1)
