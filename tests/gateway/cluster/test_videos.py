"""The objects of a cluster: what the API server is asked, and what is known at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.clients.kube.api_server import ApiServer, eventually, serving, status_object
from tests.operator.fake_cluster import spec

from talkingvideo_api.names import LABEL_CALLER
from talkingvideo_clients.kube.api import VIDEOS, Api
from talkingvideo_clients.kube.reflector import Reflector
from talkingvideo_gateway.cluster.cache import VideoCache
from talkingvideo_gateway.cluster.missing import LOOKUPS_PER_SECOND, SECONDS, MissingNames
from talkingvideo_gateway.cluster.records import ObjectRecord
from talkingvideo_gateway.cluster.videos import ClusterVideos
from talkingvideo_gateway.errors import (
    AlreadyExistsError,
    ForbiddenError,
    GatewayError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)


@dataclass
class Clock:
    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Gateway:
    """One replica: its cache is kept by a watch of its own."""

    videos: ClusterVideos
    cache: VideoCache
    clock: Clock


@dataclass
class Replicas:
    server: ApiServer
    api: Api
    gateways: list[Gateway] = field(default_factory=list)


@asynccontextmanager
async def replicas(count: int = 1, *, watching: bool = True) -> AsyncIterator[Replicas]:
    server = ApiServer()
    async with serving(server) as api, contextlib.AsyncExitStack() as stack:
        found = Replicas(server, api)
        for _ in range(count):
            cache, clock = VideoCache(), Clock()
            found.gateways.append(Gateway(ClusterVideos(api, cache, MissingNames(clock)), cache, clock))
            if watching:
                reflector = Reflector(api, cache.records, VIDEOS, ObjectRecord.of, "films")
                task = asyncio.create_task(reflector.run())
                stack.push_async_callback(ended, task)
                await asyncio.wait_for(reflector.synced.wait(), 10)
        yield found


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 30))


def document(name: str, caller: str = "alice") -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {LABEL_CALLER: caller}}, "spec": spec()}


def test_what_was_written_is_known_at_once_and_polling_it_asks_nothing() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            videos = found.gateways[0].videos
            await videos.create("films", document("a"))
            patched = await videos.patch("films", "a", {"spec": {"cancel": True}})
            for _ in range(50):
                assert await videos.get("films", "a") == patched
            assert [each.name for each in await videos.list("films")] == ["a"]
            assert found.server.asked == {"create": 1, "patch": 1}

    run(scenario)


def test_a_late_event_does_not_bring_back_what_was_deleted_here() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            gateway = found.gateways[0]
            await gateway.videos.create("films", document("a"))
            late = found.server.objects["films", "a"]
            await gateway.videos.delete("films", "a")
            gateway.cache.records.update(ObjectRecord.of(late))
            assert await gateway.videos.get("films", "a") is None
            assert await gateway.videos.list("films") == []
            await gateway.videos.delete("films", "a")

    run(scenario)


def test_a_video_that_another_replica_has_just_created_is_found() -> None:
    async def scenario() -> None:
        async with replicas(2, watching=False) as found:
            one, other = found.gateways
            await one.videos.create("films", document("a"))
            seen = await other.videos.get("films", "a")
            assert seen is not None and seen.caller == "alice"
            await other.videos.get("films", "a")
            assert found.server.asked["get"] == 1

    run(scenario)


def test_replicas_see_each_others_writes_by_their_watches() -> None:
    async def scenario() -> None:
        async with replicas(2) as found:
            one, other = found.gateways
            changes = other.videos.watch("films")
            await one.videos.create("films", document("a"))
            assert (await asyncio.wait_for(anext(changes), 10)).video.name == "a"
            await one.videos.patch("films", "a", {"spec": {"cancel": True}})
            change = await asyncio.wait_for(anext(changes), 10)
            assert change.video.spec["cancel"] is True
            await one.videos.delete("films", "a")
            assert (await asyncio.wait_for(anext(changes), 10)).deleted
            assert await other.videos.get("films", "a") is None

    run(scenario)


def test_a_name_that_does_not_exist_is_asked_for_once_however_often_it_is_polled() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            gateway = found.gateways[0]
            for _ in range(50):
                assert await gateway.videos.get("films", "nothing") is None
            assert found.server.asked["get"] == 1
            gateway.clock.now += SECONDS + 1
            await gateway.videos.get("films", "nothing")
            assert found.server.asked["get"] == 2

    run(scenario)


def test_made_up_names_cost_no_more_than_so_many_questions_a_second() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            for number in range(3 * LOOKUPS_PER_SECOND):
                await found.gateways[0].videos.get("films", f"guess-{number}")
            assert found.server.asked["get"] == LOOKUPS_PER_SECOND

    run(scenario)


def test_a_list_is_of_one_namespace_and_on_request_of_one_caller_the_oldest_first() -> None:
    async def scenario() -> None:
        async with replicas() as found:
            for second, (name, caller) in enumerate([("c", "alice"), ("b", "bob"), ("a", "alice")]):
                body = document(name, caller)
                body["metadata"]["creationTimestamp"] = f"2026-01-01T00:00:0{second}Z"
                await found.server.put(body)
            videos = found.gateways[0].videos
            await eventually(lambda: found.gateways[0].cache.get("films", "a"), "all are known")
            assert [each.name for each in await videos.list("films")] == ["c", "b", "a"]
            assert [each.name for each in await videos.list("films", "alice")] == ["c", "a"]
            assert await videos.list("elsewhere") == []

    run(scenario)


FIELD = {"reason": "FieldValueInvalid", "message": "no", "field": "spec.render.seed"}
REFUSALS = [
    ("create", 409, status_object("AlreadyExists", '"a" already exists'), AlreadyExistsError, "name"),
    ("create", 422, status_object("Invalid", "spec.render.seed: no", FIELD), InvalidRequestError, "spec.render.seed"),
    ("create", 400, status_object("BadRequest", "strict decoding error"), InvalidRequestError, None),
    ("create", 403, status_object("Forbidden", "exceeded quota: count"), ForbiddenError, None),
    ("create", 404, status_object("NotFound", 'namespaces "films" not found'), NotFoundError, None),
    ("create", 413, status_object("RequestEntityTooLarge", "limit is 3145728"), TooLargeError, None),
    ("create", 429, status_object("TooManyRequests", "slow down"), UnavailableError, None),
    ("create", 401, status_object("Unauthorized", "Unauthorized"), UnavailableError, None),
    ("create", 500, status_object("InternalError", "etcdserver: request timed out"), UnavailableError, None),
    ("patch", 422, status_object("Invalid", "spec.cancel: no"), InvalidRequestError, None),
    ("patch", 409, status_object("Conflict", "the object has been modified"), GatewayError, None),
    ("delete", 403, status_object("Forbidden", "may not delete"), ForbiddenError, None),
    ("get", 503, status_object("ServiceUnavailable", "starting"), UnavailableError, None),
]


@pytest.mark.parametrize(("verb", "status", "body", "error", "field"), REFUSALS)
def test_a_refusal_is_the_senders_or_the_servers_and_keeps_its_message(
    verb: str, status: int, body: dict[str, Any], error: type[GatewayError], field: str | None
) -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            videos = found.gateways[0].videos
            if verb != "create":
                await videos.create("films", document("a"))
            found.server.refuse[verb] = (status, body)
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "create": lambda: videos.create("films", document("a")),
                "patch": lambda: videos.patch("films", "a", {}),
                "delete": lambda: videos.delete("films", "a"),
                "get": lambda: videos.get("films", "unknown"),
            }
            with pytest.raises(error) as refused:
                await calls[verb]()
            assert body["message"] in refused.value.message
            assert refused.value.field == field

    run(scenario)


def test_an_api_server_that_is_gone_is_unavailable_and_what_is_known_can_be_read() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            videos = found.gateways[0].videos
            await videos.create("films", document("a"))
            await found.server.stop()
            with pytest.raises(UnavailableError):
                await videos.create("films", document("b"))
            assert await videos.get("films", "a") is not None

    run(scenario)


def test_a_patch_of_what_does_not_exist_says_so() -> None:
    async def scenario() -> None:
        async with replicas(watching=False) as found:
            with pytest.raises(NotFoundError):
                await found.gateways[0].videos.patch("films", "nothing", {"spec": {"cancel": True}})

    run(scenario)
