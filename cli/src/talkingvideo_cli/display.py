"""How a video that is being made is shown: bars on a terminal, lines on a pipe."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from talkingvideo_cli.printing import printable, short
from talkingvideo_cli.view import ChunkView, VideoView

ROWS_LEFT = 6
"""Rows of a terminal that are not used for chunks."""


class Display(Protocol):
    """Shows one video while it is being made; a context manager."""

    def show(self, view: VideoView) -> None:
        """Show its present state."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def display(stream: TextIO) -> Display:
    """The display that suits a stream."""
    console = Console(file=stream)
    return Bars(console) if console.is_terminal else Lines(stream)


class Bars:
    """A bar for the video and one for each chunk.

    Where the terminal has fewer rows than the video has chunks, those that render come first, then those that wait.

    Args:
        console: Where they are drawn.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.fields[title]}", markup=False),
            BarColumn(complete_style="cyan", finished_style="green"),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.description}", markup=False),
            console=console,
        )
        self._video: TaskID | None = None
        self._chunks: dict[int, TaskID] = {}

    def show(self, view: VideoView) -> None:
        """See `Display`."""
        if self._video is None:
            self._video = self._progress.add_task("", total=100, title=printable(view.name))
        self._progress.update(self._video, completed=view.percent, description=printable(summary(view)))
        shown = self._shown(view)
        for index in self._chunks.keys() - {chunk.index for chunk in shown}:
            self._progress.remove_task(self._chunks.pop(index))
        for chunk in shown:
            if chunk.index not in self._chunks:
                self._chunks[chunk.index] = self._progress.add_task("", total=100, title=f"  chunk {chunk.index}")
            self._progress.update(
                self._chunks[chunk.index], completed=chunk.percent, description=printable(chunk.state)
            )

    def _shown(self, view: VideoView) -> list[ChunkView]:
        room = max(1, self._console.height - ROWS_LEFT)
        if len(view.chunks) <= room:
            return list(view.chunks)
        urgent = sorted(
            view.chunks, key=lambda chunk: (chunk.state == "done", chunk.state.startswith("waiting"), chunk.index)
        )
        return sorted(urgent[:room], key=lambda chunk: chunk.index)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()


class Lines:
    """One line for each change, for pipes and logs.

    Args:
        stream: Where they are written.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._last = ""

    def show(self, view: VideoView) -> None:
        """See `Display`."""
        active = (f"chunk {each.index} {each.state} {each.percent}%" for each in view.chunks if is_active(each))
        line = "; ".join((f"{view.name} {view.percent}% {summary(view)}", *active))
        if line != self._last:
            self._stream.write(printable(line) + "\n")
            self._stream.flush()
        self._last = line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def is_active(chunk: ChunkView) -> bool:
    """Whether a chunk has a Job."""
    return chunk.state != "done" and not chunk.state.startswith("waiting")


def summary(view: VideoView) -> str:
    """The state of a video in a few words."""
    parts = [view.phase]
    if view.chunks:
        parts.append(f"{view.done}/{len(view.chunks)} chunks")
    if view.queue is not None:
        parts.append(f"place {view.queue} in the queue")
    if view.expected is not None and view.outcome is None:
        parts.append(f"{short(max(timedelta(), view.expected - datetime.now(UTC)))} left")
    return ", ".join(parts)
