"""Lists are read page by page, and the size of a page follows from the size of the objects."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import ApiClient, Configuration

from talkingvideo_clients.kube.api import FIRST_PAGE, JOBS, LARGEST_PAGE, PAGE_CHARACTERS, Api


class Server:
    """Answers lists of objects of one size, as an API server does."""

    def __init__(self, count: int, characters: int) -> None:
        self.limits: list[int] = []
        self.sizes: list[int] = []
        self._count = count
        self._filler = "x" * characters

    async def answer(self, request: web.Request) -> web.Response:
        limit, start = int(request.query["limit"]), int(request.query.get("continue", 0))
        end = min(start + limit, self._count)
        items = [{"metadata": {"name": str(number)}, "filler": self._filler} for number in range(start, end)]
        metadata: dict[str, Any] = {"resourceVersion": "7"}
        if end < self._count:
            metadata["continue"] = str(end)
        answer = web.json_response({"metadata": metadata, "items": items})
        self.limits.append(limit)
        self.sizes.append(len(answer.body))  # type: ignore[arg-type]
        return answer

    async def list_all(self) -> list[str]:
        application = web.Application()
        application.router.add_get("/{path:.*}", self.answer)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
        try:
            async with ApiClient(Configuration(host=f"http://127.0.0.1:{port}")) as client:
                pages = [page async for page in Api(client).pages(JOBS, None)]
        finally:
            await runner.cleanup()
        return [item["metadata"]["name"] for page in pages for item in page["items"]]


@pytest.mark.parametrize(("count", "characters"), [(0, 0), (3, 10), (2_000, 10), (40, 400_000), (25, 1_500_000)])
def test_every_object_is_listed_once(count: int, characters: int) -> None:
    assert asyncio.run(Server(count, characters).list_all()) == [str(number) for number in range(count)]


def test_pages_of_small_objects_grow_to_the_largest() -> None:
    server = Server(3_000, 100)
    asyncio.run(server.list_all())
    assert server.limits[0] == FIRST_PAGE
    assert max(server.limits) == LARGEST_PAGE


@pytest.mark.parametrize("characters", [200_000, 1_500_000])
def test_pages_of_large_objects_stay_at_the_desired_size(characters: int) -> None:
    server = Server(60, characters)
    asyncio.run(server.list_all())
    assert max(server.sizes[1:]) <= PAGE_CHARACTERS * 1.1
