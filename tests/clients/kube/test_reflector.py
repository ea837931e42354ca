"""The list-and-watch: what it follows, and what it does when a watch breaks or is too old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.clients.kube.api_server import ApiServer, eventually, serving, status_object
from tests.operator.fake_cluster import spec

from talkingvideo_clients.kube import reflector as module
from talkingvideo_clients.kube.api import VIDEOS
from talkingvideo_clients.kube.index import Index
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_clients.kube.reflector import Reflector


@pytest.fixture(autouse=True)
def _without_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(module, "LONGEST_PAUSE", 0.05)


class Followed:
    """A reflector at work on a server."""

    def __init__(self, server: ApiServer, index: Index[VideoRecord], reflector: Reflector[VideoRecord]) -> None:
        self.server, self.index, self.reflector = server, index, reflector

    def names(self) -> set[str]:
        return {item.name for item in self.index.all()}

    async def shows(self, *names: str) -> None:
        await eventually(lambda: self.names() == set(names), f"{self.names()} becomes {names}")


@asynccontextmanager
async def following(*names: str) -> AsyncIterator[Followed]:
    server, index = ApiServer(), Index[VideoRecord]()
    for name in names:
        await server.put(named(name))
    async with serving(server) as api:
        reflector = Reflector(api, index, VIDEOS, VideoRecord.of, "films")
        task = asyncio.create_task(reflector.run())
        try:
            await asyncio.wait_for(reflector.synced.wait(), 10)
            yield Followed(server, index, reflector)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def named(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": spec()}


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_what_is_there_is_listed_and_what_comes_and_goes_is_followed() -> None:
    async def scenario() -> None:
        async with following("a") as followed:
            await followed.shows("a")
            await followed.server.put(named("b"))
            await followed.shows("a", "b")
            await followed.server.remove("a")
            await followed.shows("b")
            assert followed.server.asked == {"list": 1, "watch": 1}

    run(scenario)


def test_a_watch_that_breaks_goes_on_from_the_last_version_without_a_list() -> None:
    async def scenario() -> None:
        async with following("a") as followed:
            await eventually(lambda: followed.server.asked["watch"] == 1, "a watch")
            await followed.server.put(named("b"))
            await followed.shows("a", "b")
            followed.server.break_watches()
            await followed.server.put(named("c"))
            await followed.shows("a", "b", "c")
            assert followed.server.asked["list"] == 1

    run(scenario)


def test_a_version_that_the_server_has_forgotten_means_a_list_which_shows_what_was_deleted() -> None:
    async def scenario() -> None:
        async with following("a", "gone") as followed:
            await eventually(lambda: followed.server.asked["watch"] == 1, "a watch")
            await followed.server.remove("gone", silently=True)
            followed.server.forget()
            followed.server.break_watches()
            await followed.shows("a")
            assert followed.server.asked["list"] == 2

    run(scenario)


def test_a_bookmark_spares_the_list_after_versions_were_forgotten() -> None:
    async def scenario() -> None:
        async with following("a") as followed:
            await eventually(lambda: followed.server.asked["watch"] == 1, "a watch")
            followed.server.forget()
            await followed.server.bookmark()
            await followed.server.put(named("b"))
            await followed.shows("a", "b")
            followed.server.break_watches()
            await eventually(lambda: followed.server.asked["watch"] == 2, "another watch")
            await followed.server.put(named("c"))
            await followed.shows("a", "b", "c")
            assert followed.server.asked["list"] == 1

    run(scenario)


def test_while_the_server_refuses_the_time_counts_and_afterwards_everything_is_there() -> None:
    async def scenario() -> None:
        async with following("a") as followed:
            assert followed.reflector.failing_seconds == 0
            followed.server.refuse["watch"] = (403, status_object("Forbidden", "may not watch"))
            followed.server.break_watches()
            await eventually(lambda: followed.reflector.failing_seconds > 0, "it notices")
            await followed.server.put(named("b"))
            followed.server.refuse.clear()
            await followed.shows("a", "b")
            assert followed.reflector.failing_seconds == 0

    run(scenario)


def test_an_object_that_cannot_be_parsed_is_left_out_and_stops_nothing() -> None:
    async def scenario() -> None:
        async with following() as followed:
            await followed.server.put({"metadata": {"name": "broken", "creationTimestamp": "never"}})
            await followed.server.put(named("b"))
            await followed.shows("b")

    run(scenario)
