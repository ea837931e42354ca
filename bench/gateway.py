"""Measures the gateway under load, beside a service of the older kind that keeps everything in its process's memory.

Both serve ``/api/generate``, ``/api/status`` and ``/ws``; nobody renders, but the state of ten videos changes all the time.
Prints a Markdown table: how long a status takes with 200 clients that poll each second and 50 WebSockets, and the memory that
20 uploads of 50 MB side by side take.

    uv run python bench/gateway.py [--seconds 300] [--pollers 200] [--sockets 50] [--uploads 20]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn
from fastapi import FastAPI, UploadFile, WebSocket, WebSocketDisconnect

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.gateway.serving import LINK_KEY, ServedGateway

from talkingvideo_api.conditions import Phase
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_gateway.app import create_app
from talkingvideo_gateway.identity.caller import Caller, CallerLimits
from talkingvideo_gateway.identity.loopback import EverybodyIs
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.backend import Backend

VIDEOS = 10
CHANGE_SECONDS = 1.0
POLL_SECONDS = 1.0
SOUND_BYTES = 50_000_000
PICTURE = b"\xff\xd8\xff a picture"
LIMITS = CallerLimits(queue=1_000)


class Changing(ServedGateway):
    """The gateway's own back end without its queue; the oldest videos change all the time."""

    @asynccontextmanager
    async def backend(self) -> AsyncIterator[Backend]:
        """See `ServedGateway`."""
        async with super().backend() as backend:
            changing = asyncio.create_task(self._change())
            yield backend
            changing.cancel()

    async def _change(self) -> None:
        for step in itertools.count():
            for video in list(self._videos.all())[:VIDEOS]:
                phase = Phase.STITCHING if step % 2 else Phase.PREPARING
                status = TalkingVideoStatus(phase=phase, progress=step % 100)
                self._videos.set_status((video.namespace, video.name), status)
            await asyncio.sleep(CHANGE_SECONDS)


def ours(folder: Path) -> FastAPI:
    """The gateway."""
    caller = EverybodyIs(Caller("bench", "default", limits=LIMITS))
    return create_app(GatewayConfig(limits=LIMITS), Changing(folder).backend(), caller, LINK_KEY)


def older(_: Path) -> FastAPI:
    """What the older services do: files, states and connections in dictionaries, every change told to everybody."""
    requests: dict[str, dict[str, Any]] = {}
    sockets: set[WebSocket] = set()

    async def change() -> None:
        for step in itertools.count():
            for request in list(requests.values())[:VIDEOS]:
                request["status"] |= {"status": "processing", "message": f"{step % 100} %"}
                await tell({"type": "status_update", "data": request["status"]})
            await asyncio.sleep(CHANGE_SECONDS)

    async def tell(message: dict[str, Any]) -> None:
        for each in tuple(sockets):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await each.send_json(message)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        changing = asyncio.create_task(change())
        yield
        changing.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.post("/api/generate")
    async def generate(image: UploadFile, audio: UploadFile) -> dict[str, Any]:
        request_id = str(uuid.uuid4())
        status = {"request_id": request_id, "status": "queued", "message": "Request added to queue"}
        requests[request_id] = {"image": await image.read(), "audio": await audio.read(), "status": status}
        return status

    @app.get("/api/status/{request_id}")
    async def status(request_id: str) -> dict[str, Any]:
        found: dict[str, Any] = requests[request_id]["status"]
        return found

    @app.websocket("/ws")
    async def updates(each: WebSocket) -> None:
        await each.accept()
        sockets.add(each)
        try:
            async for text in each.iter_text():
                await each.send_json({"type": "pong", "data": text})
        finally:
            sockets.discard(each)

    return app


SERVERS = {"ours": ours, "older": older}


@dataclass
class Load:
    """What was measured of one server."""

    milliseconds: list[float] = field(default_factory=list)
    messages: int = 0
    before: float = 0
    after: float = 0
    uploads: float = 0

    def percentile(self, percent: int) -> float:
        """Of the times of a status."""
        return statistics.quantiles(self.milliseconds, n=100)[percent - 1]


@contextmanager
def running(name: str, folder: Path) -> Iterator[tuple[str, int]]:
    """Start a server as a process of its own; its address and process id."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, __file__, "--serve", name, "--folder", str(folder), "--port", str(port)]
    process = subprocess.Popen(command)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        process.wait()


def megabytes(pid: int, key: str) -> float:
    """Resident set of a process (VmRSS) or its peak (VmHWM)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1_000 for line in lines if line.startswith(f"{key}:"))


async def load(url: str, pid: int, options: argparse.Namespace) -> Load:
    """Poll, listen and upload."""
    found = Load()
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        videos = [await create(session, b"RIFF a recording") for _ in range(VIDEOS)]
        listening = [asyncio.create_task(listen(session, found)) for _ in range(options.sockets)]
        await asyncio.sleep(1)
        found.before = megabytes(pid, "VmRSS")
        end = time.monotonic() + options.seconds
        pollers = (
            poll(session, videos[number % VIDEOS], number, options, end, found) for number in range(options.pollers)
        )
        await asyncio.gather(*pollers)
        found.after = megabytes(pid, "VmRSS")
        for task in listening:
            task.cancel()
    # The server closes connections that were idle for a while: the uploads have their own.
    async with aiohttp.ClientSession(url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        sound = bytes(SOUND_BYTES - 1_000)
        await asyncio.gather(*(create(session, sound) for _ in range(options.uploads)))
        found.uploads = megabytes(pid, "VmHWM")
    return found


async def create(session: aiohttp.ClientSession, sound: bytes) -> str:
    """Request a video; its id."""
    form = aiohttp.FormData()
    form.add_field("image", PICTURE, filename="a.jpg")
    form.add_field("audio", sound, filename="a.wav")
    async with session.post("/api/generate", data=form) as answer:
        answer.raise_for_status()
        return str((await answer.json())["request_id"])


async def poll(
    session: aiohttp.ClientSession, video: str, number: int, options: argparse.Namespace, end: float, found: Load
) -> None:
    """Ask for a status each second, out of step with the others."""
    await asyncio.sleep(POLL_SECONDS * number / options.pollers)
    while time.monotonic() < end:
        started = time.monotonic()
        async with session.get(f"/api/status/{video}") as answer:
            answer.raise_for_status()
            await answer.read()
        found.milliseconds.append((time.monotonic() - started) * 1_000)
        await asyncio.sleep(max(0.0, started + POLL_SECONDS - time.monotonic()))


async def listen(session: aiohttp.ClientSession, found: Load) -> None:
    """Count the messages of a WebSocket."""
    async with session.ws_connect("/ws") as connection:
        async for _ in connection:
            found.messages += 1


def main() -> None:
    """Measure both, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--pollers", type=int, default=200)
    parser.add_argument("--sockets", type=int, default=50)
    parser.add_argument("--uploads", type=int, default=20)
    parser.add_argument("--serve", choices=SERVERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        uvicorn.run(SERVERS[options.serve](options.folder), port=options.port, log_level="warning")
        return
    results = {}
    for name in SERVERS:
        with tempfile.TemporaryDirectory() as folder, running(name, Path(folder)) as (url, pid):
            results[name] = asyncio.run(load(url, pid, options))
    print_table(results, options)


def print_table(results: dict[str, Load], options: argparse.Namespace) -> None:
    """A column for each server."""
    rows: dict[str, Callable[[Load], str]] = {
        "a status, median, ms": lambda it: f"{it.percentile(50):.1f}",
        "a status, p99, ms": lambda it: f"{it.percentile(99):.1f}",
        "statuses per second": lambda it: f"{len(it.milliseconds) / options.seconds:.0f}",
        "WebSocket messages per second": lambda it: f"{it.messages / options.seconds:.0f}",
        "memory before the load, MB": lambda it: f"{it.before:.0f}",
        f"memory after {options.seconds:.0f} s, MB": lambda it: f"{it.after:.0f}",
        f"peak memory with {options.uploads} uploads of 50 MB, MB": lambda it: f"{it.uploads:.0f}",
    }
    print(f"| {options.pollers} pollers, {options.sockets} WebSockets | {' | '.join(results)} |")
    print("|---|" + "---|" * len(results))
    for what, write in rows.items():
        print(f"| {what} | {' | '.join(write(found) for found in results.values())} |")


if __name__ == "__main__":
    main()
