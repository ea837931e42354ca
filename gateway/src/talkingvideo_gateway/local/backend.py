"""Puts the local back end together."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from talkingvideo_gateway.local.database import Database
from talkingvideo_gateway.local.media import LocalMedia
from talkingvideo_gateway.local.objects import LocalVideos
from talkingvideo_gateway.local.parts import LocalParts
from talkingvideo_gateway.local.queue import Engine, LocalQueue, worker_command
from talkingvideo_gateway.videos.backend import Backend, Health
from talkingvideo_gateway.videos.uploads import LIFETIME_SECONDS

log = structlog.get_logger(__name__)

CLEANING_SECONDS = 3_600.0
"""How often inputs are looked for that no video names."""


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
        media = LocalMedia(folder / "uploads", engine.out)
        queue = LocalQueue(videos, engine, options.at_once)
        serving = asyncio.create_task(queue.serve(), name="queue")
        cleaning = asyncio.create_task(_clean(videos, media), name="inputs")

        def health() -> Health:
            runs = not serving.done()
            message = "" if runs else "The queue has stopped; see the log."
            return Health(ready=runs, engine=options.engine or "", gpu=False, message=message, serving=runs)

        try:
            yield Backend(videos, media, health, LocalParts(engine.plans, engine.workspace))
        finally:
            cleaning.cancel()
            serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await serving


async def _clean(videos: LocalVideos, media: LocalMedia) -> None:
    """Delete inputs that no video names any more, a day after they were stored: a deleted video's face and voice are gone, too."""
    while True:
        specs = json.dumps([videos.document(video)["spec"] for video in videos.all()])
        before = time.time() - LIFETIME_SECONDS
        try:
            await asyncio.to_thread(media.delete_unnamed, specs.__contains__, before)
        except OSError:
            log.exception("inputs that no video names cannot be deleted")
        await asyncio.sleep(CLEANING_SECONDS)
