"""A gateway over real HTTP whose videos nobody makes: tests say how they stand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI

from talkingvideo_api.conditions import Phase
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.reports import Estimate
from talkingvideo_api.status import (
    Chunks,
    Dimensions,
    Failure,
    OutputStatus,
    TalkingVideoStatus,
)
from talkingvideo_gateway.app import create_app
from talkingvideo_gateway.identity.caller import Authenticator, Caller, Rights
from talkingvideo_gateway.identity.loopback import EverybodyIs
from talkingvideo_gateway.local.database import Database
from talkingvideo_gateway.local.media import LocalMedia
from talkingvideo_gateway.local.objects import LocalVideos
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend, Health
from talkingvideo_gateway.videos.object import VideoObject

T = TypeVar("T")

NAMESPACE = "default"
LINK_KEY = "of-the-tests"
VIDEO = b"\x00\x00\x00\x18ftypmp42 what stands for a video"
THUMBNAIL = b"\xff\xd8\xff what stands for a thumbnail"


@dataclass
class ServedGateway:
    """A running gateway, and what stands behind it.

    Attributes:
        url: Its address.
        folder: Where it keeps everything.
        health: What it says of itself.
    """

    folder: Path
    url: str = ""
    health: Health = field(default_factory=lambda: Health(ready=True, engine="preview", gpu=False))

    def client(self, **options: Any) -> httpx.Client:
        """A client that knows the address."""
        return httpx.Client(base_url=self.url, timeout=10, **options)

    def videos(self) -> list[VideoObject]:
        """All objects, the oldest first."""
        return self._call(lambda: list(self._videos.all()))

    def video(self, name: str) -> VideoObject:
        """One object."""
        return next(video for video in self.videos() if video.name == name)

    def first_video(self) -> VideoObject:
        """The first object, as soon as there is one."""
        while not (videos := self.videos()):
            time.sleep(0.01)
        return videos[0]

    def document(self, name: str) -> dict[str, Any]:
        """The whole object."""
        return self._videos.document(self.video(name))

    def set_status(self, name: str, **values: Any) -> None:
        """Write the status of an object."""
        key = (self.video(name).namespace, name)
        self._call(lambda: self._videos.set_status(key, TalkingVideoStatus(**values)))

    def render(self, name: str, percent: int = 40) -> None:
        """Two of four chunks are finished."""
        chunks = Chunks(total=4, done=2, summary="2/4", frames=(100, 100, 100, 50), finished="Aw==")
        self.set_status(name, phase=Phase.RENDERING, progress=percent, plan_digest="0" * 64, chunks=chunks)

    def plan(self, name: str) -> None:
        """A dry run has ended well, with two chunks."""
        chunks = Chunks(total=2, done=0, summary="0/2", frames=(100, 50), finished="AA==")
        estimate = Estimate(windows=3, gpu_seconds=12)
        self.set_status(name, phase=Phase.SUCCEEDED, plan_digest="0" * 64, chunks=chunks, estimate=estimate)

    def succeed(self, name: str, **values: Any) -> None:
        """The video is finished; its files are there."""
        folder = self.folder / "results" / self.video(name).namespace
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.mp4").write_bytes(VIDEO)
        (folder / f"{name}.jpg").write_bytes(THUMBNAIL)
        (folder / f"{name}.json").write_text("{}")
        uri = (folder / name).as_uri()
        output = OutputStatus(
            uri=f"{uri}.mp4",
            thumbnail_uri=f"{uri}.jpg",
            report_uri=f"{uri}.json",
            mime_type="video/mp4",
            bytes=len(VIDEO),
            sha256="0" * 64,
            width=640,
            height=480,
            frame_count=350,
            frame_rate=25,
            duration_seconds=14.0,
        )
        delivered = Dimensions(width=640, height=480)
        self.set_status(name, phase=Phase.SUCCEEDED, progress=100, output=output, delivered=delivered, **values)

    def fail(self, name: str, code: ErrorCode = ErrorCode.GENERATION_RUNTIME, message: str = "It broke.") -> None:
        """The video has failed."""
        failure = Failure(code=code, message=message, retryable=False)
        self.set_status(name, phase=Phase.FAILED, progress=40, failure=failure)

    def cancelled(self, name: str) -> None:
        """Nothing is done any more for a cancelled video."""
        self.set_status(name, phase=Phase.CANCELLED, progress=40)

    @asynccontextmanager
    async def backend(self) -> AsyncIterator[Backend]:
        """Objects and files as a local gateway has them, without the queue that makes videos."""
        self._loop = asyncio.get_running_loop()
        with closing(Database(self.folder)) as database:
            self._videos = LocalVideos(database)
            media = LocalMedia(self.folder / "uploads", self.folder / "results")
            yield Backend(self._videos, media, lambda: self.health)

    def _call(self, work: Callable[[], T]) -> T:
        """Call it in the server's event loop."""

        async def call() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)


@contextmanager
def served_gateway(
    folder: Path,
    config: GatewayConfig | None = None,
    authenticator: Authenticator | None = None,
    rights: Rights | None = None,
) -> Iterator[ServedGateway]:
    """Start a gateway on a free port of loopback."""
    config = config or GatewayConfig()
    gateway = ServedGateway(folder)
    everybody = EverybodyIs(Caller("tester", config.namespace, limits=config.limits))
    app = create_app(config, gateway.backend(), authenticator or everybody, LINK_KEY, rights)
    with served(app) as gateway.url:
        yield gateway


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application on a free port of loopback; its address."""
    settings = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=0,
        http="h11",
        log_level="warning",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway has not started"
            time.sleep(0.01)
        (socket,) = server.servers[0].sockets
        yield f"http://127.0.0.1:{socket.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
