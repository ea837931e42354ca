"""What a person sees of a local run: one bar, and at the end where the files are."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from talkingvideo_api.names import Stage

SPANS = {Stage.PREPARE: (0.0, 0.1), Stage.RENDER: (0.1, 0.95), Stage.STITCH: (0.95, 1.0)}
"""The part of the whole that each stage is shown as."""


class TerminalReporter:
    """A progress bar over all stages of one video; a context manager.

    Args:
        console: Where to draw.
        name: The video's name.
    """

    def __init__(self, console: Console, name: str) -> None:
        self._progress = Progress(
            TextColumn("{task.fields[name]}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
        )
        self._task = self._progress.add_task("Starting", total=1.0, name=name)
        self._chunks: dict[int, float] = {}
        self.chunk_count = 1
        """Chunks to render, once they are known."""

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
            self._chunks[chunk] = fraction
            fraction = sum(self._chunks.values()) / max(self.chunk_count, len(self._chunks))
            message = (
                f"chunk {chunk + 1} of {max(self.chunk_count, len(self._chunks))}, {message[:1].lower()}{message[1:]}"
            )
        start, end = SPANS[stage]
        self._progress.update(
            self._task, completed=start + (end - start) * fraction, description=f"{stage.value}: {message}"
        )
