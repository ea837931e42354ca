"""An API server of dicts behind real HTTP: what `kubectl talkingvideo` asks of one, without schemas and storage."""

from __future__ import annotations

import asyncio
import copy
import itertools
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml
from aiohttp import web

Body = dict[str, Any]

VIDEOS = "/apis/talkingvideo.dev/v1alpha1/namespaces/{namespace}/talkingvideos"
VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
CREATED = "2026-01-01T00:00:00Z"


@dataclass
class ApiServer:
    """Objects of one namespace by name.

    Attributes:
        videos: TalkingVideos.
        pods: Pods.
        logs: Logs by pod and container.
        forbidden: Verbs that RBAC does not allow.
        refusals: Answers to an HTTP method instead of what it would do: status code and Status object, one call each.
        scripts: By name of a video: the statuses that its watches see, one after another.
        requests: Method, path and query of every request.
        broken_watches: Number of watches that are to break off at once.
        is_down: Whether no request is answered.
    """

    videos: dict[str, Body] = field(default_factory=dict)
    pods: list[Body] = field(default_factory=list)
    logs: dict[tuple[str, str], str] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    refusals: dict[str, tuple[int, Body | str]] = field(default_factory=dict)
    scripts: dict[str, list[Body]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    broken_watches: int = 0
    is_down: bool = False
    url: str = ""
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def add(self, name: str, spec: Body | None = None, **status: Any) -> Body:
        """Store a TalkingVideo; its status is of the current generation."""
        body = {"spec": spec or SPEC, "status": {"observedGeneration": 1, **status}}
        return self._store({"metadata": {"name": name}, **body})

    def writes(self) -> list[str]:
        """Methods of the requests that have changed something."""
        words = (request.split() for request in self.requests)
        return [method for method, _, query in words if method != "GET" and "dryRun" not in query]

    def _store(self, body: Body) -> Body:
        metadata = body.setdefault("metadata", {})
        if "name" not in metadata:
            metadata["name"] = metadata.pop("generateName") + "x7k2p"
        body.update(apiVersion="talkingvideo.dev/v1alpha1", kind="TalkingVideo")
        version = next(self._versions)
        defaults = {"namespace": "films", "uid": f"uid-{version}", "generation": 1, "creationTimestamp": CREATED}
        body["metadata"] = {**defaults, **metadata, "resourceVersion": str(version)}
        body.setdefault("status", {"observedGeneration": -1})
        self.videos[metadata["name"]] = body
        return body

    async def collection(self, request: web.Request) -> web.StreamResponse:
        """GET, watch and POST of TalkingVideos."""
        if request.method == "POST":
            body = await request.json()
            self.bodies.append(copy.deepcopy(body))
            if body["metadata"].get("name") in self.videos:
                return _status(
                    409, "AlreadyExists", f'talkingvideos.talkingvideo.dev "{body["metadata"]["name"]}" already exists'
                )
            return web.json_response(body if "dryRun" in request.query else self._store(body), status=201)
        if "watch" in request.query:
            return await self._watch(request)
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": [*self.videos.values()]})

    async def object(self, request: web.Request) -> web.StreamResponse:
        """GET, PATCH and DELETE of one TalkingVideo."""
        name = request.match_info["name"]
        if name not in self.videos:
            return _status(404, "NotFound", f'talkingvideos.talkingvideo.dev "{name}" not found')
        if request.method == "DELETE":
            return web.json_response(self.videos.pop(name))
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            _merge(self.videos[name], json.loads(await request.text()))
        return web.json_response(self.videos[name])

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        name = request.query["fieldSelector"].removeprefix("metadata.name=")
        response = web.StreamResponse()
        await response.prepare(request)
        if self.broken_watches:
            self.broken_watches -= 1
            await response.write(b'{"type": "MODIFIED", "obj')
            assert request.transport is not None
            request.transport.abort()
            return response
        statuses = self.scripts.get(name, [])
        while statuses:
            status = statuses.pop(0)
            if "is_down" in status:
                self.is_down = True
                return response
            if "error" in status:
                await _write(response, {"type": "ERROR", "object": {"kind": "Status", "code": 410}})
                return response
            self.videos[name]["status"] = {"observedGeneration": 1, **status}
            self.videos[name]["metadata"]["resourceVersion"] = str(next(self._versions))
            await _write(response, {"type": "MODIFIED", "object": self.videos[name]})
        await self._over.wait()
        return response

    async def all_pods(self, request: web.Request) -> web.Response:
        """GET of pods by the label of their video."""
        wanted = request.query["labelSelector"].removeprefix("talkingvideo.dev/uid=")
        items = [pod for pod in self.pods if pod["metadata"]["labels"]["talkingvideo.dev/uid"] == wanted]
        return web.json_response({"metadata": {}, "items": items})

    async def log(self, request: web.Request) -> web.StreamResponse:
        """GET of a container's log."""
        text = self.logs.get((request.match_info["pod"], request.query["container"]))
        return (
            web.Response(text=text) if text is not None else _status(400, "BadRequest", "container is waiting to start")
        )

    @web.middleware
    async def guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Note each request, and refuse it where the test says so."""
        self.requests.append(f"{request.method} {request.path} {request.query_string or '-'}")
        if self.is_down:
            assert request.transport is not None
            request.transport.abort()
        verb = "list" if request.method == "GET" and "name" not in request.match_info else VERBS[request.method]
        verb = "watch" if "watch" in request.query else verb
        if verb in self.forbidden:
            what = f'cannot {verb} resource "talkingvideos" in API group "talkingvideo.dev" in the namespace "films"'
            return _status(403, "Forbidden", f'talkingvideos.talkingvideo.dev is forbidden: User "ann" {what}')
        if request.method in self.refusals:
            code, answer = self.refusals.pop(request.method)
            return (
                web.Response(text=answer, status=code)
                if isinstance(answer, str)
                else web.json_response(answer, status=code)
            )
        response: web.StreamResponse = await handler(request)
        return response

    @contextmanager
    def running(self) -> Iterator[None]:
        """Serve on a free port of this machine's loopback, in a thread."""
        loop = asyncio.new_event_loop()
        runner = loop.run_until_complete(self._start())
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(self._over.set)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(runner.cleanup())
            loop.close()

    async def _start(self) -> web.AppRunner:
        application = web.Application(middlewares=[self.guard])
        application.router.add_route("*", VIDEOS, self.collection)
        application.router.add_route("*", VIDEOS + "/{name}", self.object)
        application.router.add_get("/apis/talkingvideo.dev/v1alpha1/talkingvideos", self.collection)
        application.router.add_get("/api/v1/namespaces/{namespace}/pods", self.all_pods)
        application.router.add_get("/api/v1/namespaces/{namespace}/pods/{pod}/log", self.log)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        self.url = f"http://127.0.0.1:{port}"
        return runner

    def kubeconfig(self) -> str:
        """A kubeconfig with two contexts: ``here`` of the namespace films, and ``nowhere``, whose server does not answer."""
        clusters = [
            {"name": "here", "cluster": {"server": self.url}},
            {"name": "nowhere", "cluster": {"server": "http://127.0.0.1:9"}},
        ]
        contexts = [
            {"name": "here", "context": {"cluster": "here", "user": "ann", "namespace": "films"}},
            {"name": "nowhere", "context": {"cluster": "nowhere", "user": "ann"}},
        ]
        users = [{"name": "ann", "user": {"token": "secret"}}]
        head = {"apiVersion": "v1", "kind": "Config", "current-context": "here"}
        return yaml.safe_dump({**head, "clusters": clusters, "contexts": contexts, "users": users})


SPEC: Body = {
    "source": {"image": {"uri": "https://example.com/face.png"}},
    "speech": {"speakers": [{"text": "Hello"}]},
}


def _merge(target: Body, patch: Body) -> None:
    """RFC 7386."""
    for key, value in patch.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        else:
            target[key] = value


async def _write(response: web.StreamResponse, event: Body) -> None:
    await response.write(json.dumps(event).encode() + b"\n")


def _status(code: int, reason: str, message: str) -> web.Response:
    body = {"kind": "Status", "status": "Failure", "reason": reason, "message": message, "code": code}
    return web.json_response(body, status=code)
