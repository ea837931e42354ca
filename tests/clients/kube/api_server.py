"""An API server of TalkingVideos in memory, over real HTTP: lists, watches, writes; it counts what it is asked."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from talkingvideo_clients.kube.api import Api

Body = dict[str, Any]
PREFIX = "/apis/talkingvideo.dev/v1alpha1/namespaces/{namespace}/talkingvideos"


class ApiServer:
    """Objects by namespace and name.

    Attributes:
        asked: Requests by verb.
        refuse: What is answered instead, by verb: a status and a Status object.
        oldest: Versions below are forgotten: a watch from there is answered with 410.
        stop: Stops serving.
    """

    stop: Callable[[], Awaitable[None]]

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], Body] = {}
        self.asked: Counter[str] = Counter()
        self.refuse: dict[str, tuple[int, Body]] = {}
        self.oldest = 0
        self._version = itertools.count(100)
        self._events: list[Body] = []
        self._news = asyncio.Condition()
        self._watches: set[asyncio.Task[None]] = set()

    async def put(self, body: Body, namespace: str = "films") -> Body:
        """Store an object, as somebody else would."""
        name = body["metadata"]["name"]
        known = self.objects.get((namespace, name))
        metadata = {
            "uid": str(uuid.uuid4()),
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **(known["metadata"] if known else {}),
            **body["metadata"],
            "namespace": namespace,
            "resourceVersion": str(next(self._version)),
        }
        stored = {**body, "metadata": metadata}
        self.objects[namespace, name] = stored
        await self._tell("MODIFIED" if known else "ADDED", stored)
        return stored

    async def remove(self, name: str, namespace: str = "films", *, silently: bool = False) -> None:
        """Delete an object; silently: no watch reports it."""
        body = self.objects.pop((namespace, name))
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": str(next(self._version))}}
        if not silently:
            await self._tell("DELETED", body)

    async def bookmark(self) -> None:
        """Tell the watches a newer version."""
        version = str(next(self._version))
        await self._tell("BOOKMARK", {"kind": "TalkingVideo", "metadata": {"resourceVersion": version}})

    def forget(self) -> None:
        """Forget every version up to now, as a server does after a compaction."""
        self.oldest = next(self._version)

    def break_watches(self) -> None:
        """End all watches in the middle."""
        for watch in tuple(self._watches):
            watch.cancel()

    async def _tell(self, kind: str, body: Body) -> None:
        async with self._news:
            self._events.append({"type": kind, "object": body})
            self._news.notify_all()

    async def _answer(self, verb: str, work: Any) -> web.StreamResponse:
        self.asked[verb] += 1
        if verb in self.refuse:
            status, body = self.refuse[verb]
            return web.json_response(body, status=status)
        found = await work()
        return found if isinstance(found, web.StreamResponse) else web.json_response(found)

    async def collection(self, request: web.Request) -> web.StreamResponse:
        namespace = request.match_info["namespace"]
        if request.query.get("watch"):
            return await self._answer("watch", lambda: self._watch(request))
        if request.method == "POST":
            return await self._answer("create", lambda: self._create(namespace, request))
        return await self._answer("list", lambda: self._list(namespace))

    async def _list(self, namespace: str) -> Body:
        items = [body for (where, _), body in self.objects.items() if where == namespace]
        return {"metadata": {"resourceVersion": str(next(self._version))}, "items": items}

    async def _create(self, namespace: str, request: web.Request) -> Body | web.Response:
        body = await request.json()
        name = body["metadata"]["name"]
        if (namespace, name) in self.objects:
            message = f'talkingvideos.talkingvideo.dev "{name}" already exists'
            return web.json_response(status_object("AlreadyExists", message), status=409)
        return await self.put(body, namespace)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        namespace, since = request.match_info["namespace"], int(request.query["resourceVersion"])
        if since < self.oldest:
            return web.json_response(status_object("Expired", "too old resource version"), status=410)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        task = asyncio.current_task()
        assert task is not None
        self._watches.add(task)
        try:
            position = 0
            while True:
                for event in self._events[position:]:
                    metadata = event["object"]["metadata"]
                    if int(metadata["resourceVersion"]) > since and metadata.get("namespace", namespace) == namespace:
                        await response.write(json.dumps(event).encode() + b"\n")
                position = len(self._events)
                async with self._news:
                    while len(self._events) == position:
                        await self._news.wait()
        finally:
            self._watches.discard(task)
            if request.transport is not None:
                request.transport.abort()

    async def single(self, request: web.Request) -> web.StreamResponse:
        key = (request.match_info["namespace"], request.match_info["name"])

        async def work() -> Body | web.Response:
            if key not in self.objects:
                return web.json_response(status_object("NotFound", f"{key[1]} not found"), status=404)
            if request.method == "PATCH":
                assert request.content_type == "application/merge-patch+json"
                return await self.put(merged(self.objects[key], await request.json()), key[0])
            if request.method == "DELETE":
                options = await request.json()
                if options["preconditions"]["uid"] != self.objects[key]["metadata"]["uid"]:
                    return web.json_response(status_object("Conflict", "another uid"), status=409)
                await self.remove(key[1], key[0])
                return {"kind": "Status", "status": "Success"}
            return self.objects[key]

        return await self._answer({"GET": "get", "PATCH": "patch", "DELETE": "delete"}[request.method], work)


def status_object(reason: str, message: str, *causes: dict[str, str]) -> Body:
    """A Status, as the API server refuses with."""
    return {"kind": "Status", "reason": reason, "message": message, "details": {"causes": list(causes)}}


def merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@asynccontextmanager
async def serving(server: ApiServer) -> AsyncIterator[Api]:
    """Serve on loopback, and connect to it."""
    application = web.Application()
    application.router.add_route("*", PREFIX, server.collection)
    application.router.add_route("*", f"{PREFIX}/{{name}}", server.single)
    runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.stop = runner.cleanup
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    try:
        async with ApiClient(Configuration(host=f"http://127.0.0.1:{port}")) as client:
            yield Api(client)
    finally:
        await runner.cleanup()


async def eventually(holds: Any, what: str, seconds: float = 10) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.005)
    assert holds(), what
