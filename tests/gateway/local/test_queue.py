"""The queue of this machine, with a command in place of the worker's that prints what it is told to."""

from __future__ import annotations

import asyncio
import io
import os
import sqlite3
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest

from talkingvideo_api import names
from talkingvideo_api.conditions import Phase
from talkingvideo_gateway.errors import UnavailableError
from talkingvideo_gateway.local import queue
from talkingvideo_gateway.local.backend import LocalOptions, local_backend
from talkingvideo_gateway.local.database import Database, Document
from talkingvideo_gateway.videos.backend import Videos
from talkingvideo_gateway.videos.object import State, VideoObject

RUN = """
    import json, os, signal, subprocess, sys, time
    from pathlib import Path
    import yaml

    here, file = Path(__file__).parent, Path(sys.argv[2])
    name = yaml.safe_load(file.read_text())["metadata"]["name"]
    with (here / "runs").open("a") as runs:
        runs.write(f"{name}\\n")
    (here / f"{name}.pid").write_text(str(os.getpid()))
    if name == "slow":
        signal.signal(signal.SIGTERM, lambda *_: (time.sleep(4), sys.exit(143)))
    def say(**line):
        print(json.dumps(line), flush=True)
    say(report={"kind": "prepare", "planDigest": "0" * 64, "chunkFrames": [10], "missing": "AQ==",
                "width": 64, "height": 64, "deliveredWidth": 64, "deliveredHeight": 64})
    if name == "verbose":
        print("x" * 3_000_000, flush=True)
    if name == "parent":
        child = subprocess.Popen(["sleep", "600"])
        (here / "child.pid").write_text(str(child.pid))
    while not (here / f"{name}.go").exists():
        say(progress={"stage": "render", "fraction": 0.5, "message": "Window 1 of 1", "chunk": 0})
        time.sleep(0.02)
    end = (here / f"{name}.go").read_text()
    if end == "fail":
        say(report={"kind": "failure", "code": "E_GENERATION_RUNTIME", "message": "It broke.", "retryable": False})
        sys.exit(33)
    if end == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    artifact = {"uri": "file:///x", "mediaType": "image/jpeg"}
    say(report={"kind": "stitch", "uri": "file:///x.mp4", "artifacts": {"thumbnail": artifact, "report": artifact},
                "bytes": 1, "sha256": "0" * 64, "width": 64, "height": 64, "frameCount": 10, "durationSeconds": 0.4})
"""


class Machine:
    """A local back end, and the command that stands in for the worker's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "run.py").write_text(textwrap.dedent(RUN))

    @asynccontextmanager
    async def videos(self, at_once: int = 1, program: str = sys.executable) -> AsyncIterator[Videos]:
        options = LocalOptions(self.folder / "state", at_once, command=(program, str(self.folder / "run.py")))
        async with local_backend(options) as backend:
            yield backend.videos

    def end(self, name: str, how: str = "succeed") -> None:
        (self.folder / f"{name}.go").write_text(how)

    def runs(self) -> list[str]:
        file = self.folder / "runs"
        return file.read_text().split() if file.exists() else []

    def is_running(self, name: str) -> bool:
        try:
            os.kill(int((self.folder / f"{name}.pid").read_text()), 0)
        except (ProcessLookupError, FileNotFoundError):
            return False
        return True


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def create(videos: Videos, name: str, picture: str = "data:,") -> VideoObject:
    spec = {"source": {"image": {"uri": picture}}, "speech": {"speakers": [{"text": "Hello"}]}}
    document = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": name}, "spec": spec}
    return await videos.create("default", document)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


async def reached(videos: Videos, name: str, state: State, percent: int = 0) -> VideoObject:
    async with asyncio.timeout(20):
        while True:
            video = await videos.get("default", name)
            assert video is not None
            if video.state is state and (video.status.progress or 0) >= percent:
                return video
            await asyncio.sleep(0.01)


def run(test: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


def test_videos_are_made_one_at_a_time_the_oldest_first(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            for name in ("a", "b", "c"):
                await create(videos, name)
            await reached(videos, "a", State.RUNNING, 50)
            waiting = [await reached(videos, name, State.QUEUED) for name in ("b", "c")]
            assert [video.status.queue_position for video in waiting] == [1, 2]
            for name in ("a", "b", "c"):
                machine.end(name)
                await reached(videos, name, State.SUCCEEDED)

    run(scenario)
    assert machine.runs() == ["a", "b", "c"]


def test_several_at_once_where_that_is_wanted(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos(at_once=2) as videos:
            for name in ("a", "b", "c"):
                await create(videos, name)
            for name in ("a", "b"):
                await reached(videos, name, State.RUNNING, 50)
            await reached(videos, "c", State.QUEUED)

    run(scenario)


@pytest.mark.parametrize(("how", "message"), [("fail", "It broke."), ("die", "The run ended with status -9")])
def test_a_run_that_fails_says_why_and_can_be_retried(machine: Machine, how: str, message: str) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "a")
            machine.end("a", how)
            failed = await reached(videos, "a", State.FAILED)
            assert failed.status.failure is not None
            assert failed.status.failure.message.startswith(message)
            machine.end("a")
            await videos.patch("default", "a", {"metadata": {"annotations": {names.ANNOTATION_RETRY: "1"}}})
            await reached(videos, "a", State.SUCCEEDED)

    run(scenario)
    assert machine.runs() == ["a", "a"]


def test_cancelling_ends_the_run_and_frees_its_place(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "a")
            await create(videos, "b")
            await reached(videos, "a", State.RUNNING, 50)
            await videos.patch("default", "a", {"spec": {"cancel": True}})
            await reached(videos, "b", State.RUNNING, 50)
            cancelled = await videos.get("default", "a")
            assert cancelled is not None
            assert cancelled.status.phase is Phase.CANCELLED
            assert not machine.is_running("a")

    run(scenario)


def test_a_run_that_is_slow_to_end_is_ended_though_other_videos_change_meanwhile(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "slow")
            await reached(videos, "slow", State.RUNNING, 50)
            await videos.patch("default", "slow", {"spec": {"cancel": True}})
            for number in range(3):
                await create(videos, f"another-{number}")
                await asyncio.sleep(0.1)
            await reached(videos, "another-0", State.RUNNING, 50)
            assert not machine.is_running("slow")

    run(scenario)


def test_cancelling_a_video_that_waits_starts_nothing(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "a")
            await create(videos, "b")
            await videos.patch("default", "b", {"spec": {"cancel": True}})
            await until(lambda: machine.runs() == ["a"])
            machine.end("a")
            await reached(videos, "a", State.SUCCEEDED)
            assert (await reached(videos, "b", State.CANCELLED)).status.phase is Phase.CANCELLED

    run(scenario)
    assert machine.runs() == ["a"]


def test_deleting_ends_the_run(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "a")
            await reached(videos, "a", State.RUNNING, 50)
            await videos.delete("default", "a")
            await until(lambda: not machine.is_running("a"))
            assert await videos.list("default") == []

    run(scenario)


def test_deleting_leaves_nothing_of_what_a_run_has_delivered_already(machine: Machine) -> None:
    results = machine.folder / "state" / "results" / "default"
    results.mkdir(parents=True)
    for name in ("a.mp4", "a.jpg", "a.json", "a.b.mp4"):
        (results / name).touch()

    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "a")
            await reached(videos, "a", State.RUNNING, 50)
            await videos.delete("default", "a")
            await until(lambda: [path.name for path in results.iterdir()] == ["a.b.mp4"])

    run(scenario)


def test_what_ran_at_the_end_goes_on_at_the_next_start(machine: Machine) -> None:
    async def first() -> None:
        async with machine.videos() as videos:
            for name in ("a", "b"):
                await create(videos, name)
            await reached(videos, "a", State.RUNNING, 50)

    async def second() -> None:
        async with machine.videos() as videos:
            for name in ("a", "b"):
                machine.end(name)
                await reached(videos, name, State.SUCCEEDED)

    run(first)
    assert not machine.is_running("a")
    run(second)
    assert machine.runs() == ["a", "a", "b"]


def test_a_retry_that_cannot_be_begun_fails_once(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos(program=str(machine.folder / "missing")) as videos:
            await create(videos, "a")
            await reached(videos, "a", State.FAILED)
            await videos.patch("default", "a", {"metadata": {"annotations": {names.ANNOTATION_RETRY: "1"}}})
            failed = await reached(videos, "a", State.FAILED)
            assert failed.status.observed_retry == "1"
            await until(lambda: not [*(machine.folder / "state" / "runs").iterdir()])

    run(scenario)


def test_a_line_that_is_too_long_is_passed_over(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "verbose")
            await reached(videos, "verbose", State.RUNNING, 50)
            machine.end("verbose")
            await reached(videos, "verbose", State.SUCCEEDED)

    run(scenario)


def test_what_a_run_leaves_behind_ends_with_it(machine: Machine) -> None:
    async def scenario() -> None:
        async with machine.videos() as videos:
            await create(videos, "parent")
            machine.end("parent", "die")
            await reached(videos, "parent", State.FAILED)
            await until(lambda: not machine.is_running("child"))

    run(scenario)


def test_the_queue_goes_on_when_the_disk_has_room_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = 0
    write = Database.replace

    def replace(database: Database, document: Document) -> Document:
        nonlocal refused
        if refused < 3:
            refused += 1
            raise sqlite3.OperationalError("database or disk is full")
        return write(database, document)

    monkeypatch.setattr(Database, "replace", replace)
    monkeypatch.setattr(queue, "AGAIN_SECONDS", 0.01)

    async def scenario() -> None:
        async with machine.videos() as videos:
            for name in ("a", "b"):
                await create(videos, name)
                machine.end(name)
            await until(lambda: refused == 3)
            async with asyncio.timeout(20):
                while not all(video.state.ended for video in await videos.list("default")):
                    await asyncio.sleep(0.01)

    run(scenario)


def test_a_folder_can_be_moved_with_its_files(tmp_path: Path) -> None:
    before, now = tmp_path / "before", tmp_path / "now"

    async def first() -> str:
        async with local_backend(LocalOptions(before, command=("false",))) as backend:
            uri = await backend.media.save("default", "a", "0" * 64, io.BytesIO(b"a picture"))
            await create(backend.videos, "a", uri)
            return uri

    async def second() -> str:
        async with local_backend(LocalOptions(now, command=("false",))) as backend:
            video = await backend.videos.get("default", "a")
            assert video is not None
            return str(video.spec["source"]["image"]["uri"])

    uri = asyncio.run(first())
    before.rename(now)
    for _ in range(2):
        moved = asyncio.run(second())
        assert moved == uri.replace("/before/", "/now/")
        assert Path(url2pathname(urlsplit(moved).path)).read_bytes() == b"a picture"


def test_a_folder_has_one_gateway(tmp_path: Path) -> None:
    with closing(Database(tmp_path)), pytest.raises(UnavailableError, match="Another gateway is running"):
        Database(tmp_path)
