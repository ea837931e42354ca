"""Keeps an index in step with a resource, as client-go's Reflector does: a list, then a watch from its version on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from contextlib import aclosing
from http import HTTPStatus
from typing import Generic, NoReturn, TypeVar

from talkingvideo_clients.kube.api import Api, ApiError, Resource
from talkingvideo_clients.kube.index import Index, Item, relist
from talkingvideo_clients.kube.objects import Body, try_parse

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a connection that has failed is tried again; doubled each time."""

SHORTEST_WATCH = 1.0
"""Seconds; a server that ends watches sooner would be asked again and again without a pause."""

T = TypeVar("T", bound=Item)


class Reflector(Generic[T]):
    """One list-and-watch.

    A watch that breaks goes on from the last version that it has shown. Where the server has forgotten that version (410),
    everything is listed again, which also removes from the index what was deleted meanwhile.

    Args:
        api: The API server.
        index: What is kept in step.
        resource: What to watch.
        project: Projects an object as the API returns it. An object that it cannot parse is left out.
        namespace: The namespace to watch; all of them when None.
        selector: Label selector.

    Attributes:
        synced: Set once everything has been listed.
    """

    def __init__(
        self,
        api: Api,
        index: Index[T],
        resource: Resource,
        project: Callable[[Body], T],
        namespace: str | None = None,
        selector: str = "",
    ) -> None:
        self.synced = asyncio.Event()
        self._api = api
        self._index = index
        self._resource = resource
        self._project = project
        self._namespace = namespace
        self._selector = selector
        self._version = ""
        self._failing_since: float | None = None
        self._failures = 0

    @property
    def failing_seconds(self) -> float:
        """How long the server has not answered; 0 while it does."""
        return 0.0 if self._failing_since is None else time.monotonic() - self._failing_since

    async def run(self) -> NoReturn:
        """List and watch until the task is cancelled."""
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except ApiError as error:
                if error.status == HTTPStatus.GONE and self._version:
                    logger.info("%s are listed again: %s", self._resource.plural, error.message)
                    self._version = ""
                else:
                    await self._pause(error)

    async def _list(self) -> None:
        listed = await relist(self._api, self._index, self._resource, self._project, self._namespace, self._selector)
        self._version = listed.version
        self._answered()
        self.synced.set()

    async def _watch(self) -> None:
        began = time.monotonic()
        watching = self._api.watch_all(self._resource, self._namespace, self._version, self._selector)
        async with aclosing(watching) as events:
            async for event in events:
                self._answered()
                self._take(event["type"], event["object"])
        if time.monotonic() - began < SHORTEST_WATCH:
            raise ApiError(0, "the server ends watches as soon as they begin")
        self._answered()

    def _take(self, kind: str, body: Body) -> None:
        if kind != "BOOKMARK" and (item := try_parse(self._project, body)) is not None:
            (self._index.delete if kind == "DELETED" else self._index.update)(item)
        self._version = body["metadata"]["resourceVersion"]

    def _answered(self) -> None:
        self._failing_since, self._failures = None, 0

    async def _pause(self, error: ApiError) -> None:
        """Wait before the next attempt, at random around the doubled pause: replicas shall not return all at once."""
        if self._failing_since is None:
            self._failing_since = time.monotonic()
        pause = min(FIRST_PAUSE * 2**self._failures, LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311
        self._failures += 1
        logger.warning("cannot watch %s: %s; trying again in %.1f s", self._resource.plural, error, pause)
        await asyncio.sleep(pause)
