"""Puts the local back end together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_gateway.local.database import Database
from talkingvideo_gateway.local.media import LocalMedia
from talkingvideo_gateway.local.objects import LocalVideos
from talkingvideo_gateway.local.parts import LocalParts
from talkingvideo_gateway.local.queue import Engine, LocalQueue, worker_command
from talkingvideo_gateway.videos.backend import Backend, Health


@dataclass(frozen=True)
class LocalOptions:
    """Options of a local gateway.

    Attributes:
        folder: Everything that it keeps.
        at_once: Most videos that are made at once.
        engine: Engine of videos that name none; the command's own choice where None.
        command: The worker's command.
    """

    folder: Path
    at_once: int = 1
    engine: str | None = None
    command: tuple[str, ...] = ()


@asynccontextmanager
async def local_backend(options: LocalOptions) -> AsyncIterator[Backend]:
    """Open the folder and make its videos until the context ends.

    Raises:
        UnavailableError: Another process has the folder open.
    """
    folder = options.folder.resolve()
    engine = Engine(
        command=options.command or worker_command(),
        name=options.engine,
        out=folder / "results",
        workspace=folder / "workspace",
        documents=folder / "runs",
        plans=folder / "plans",
    )
    with contextlib.closing(Database(folder)) as database:
        videos = LocalVideos(database)
        queue = LocalQueue(videos, engine, options.at_once)
        serving = asyncio.create_task(queue.serve(), name="queue")

        def health() -> Health:
            runs = not serving.done()
            message = "" if runs else "The queue has stopped; see the log."
            return Health(ready=runs, engine=options.engine or "", gpu=False, message=message, serving=runs)

        try:
            yield Backend(
                videos, LocalMedia(folder / "uploads", engine.out), health, LocalParts(engine.plans, engine.workspace)
            )
        finally:
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving
