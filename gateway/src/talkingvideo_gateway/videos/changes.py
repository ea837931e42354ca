"""Hands each change to everybody who watches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakSet

from talkingvideo_gateway.videos.backend import VideoChange


class Changes:
    """Passes changes on. A slow reader gets the newest state of each object instead of all of them."""

    def __init__(self) -> None:
        self._readers: WeakSet[_Reader] = WeakSet()

    def watched(self, namespace: str) -> bool:
        """Whether anybody watches a namespace."""
        return any(reader.namespace == namespace for reader in tuple(self._readers))

    def publish(self, change: VideoChange) -> None:
        """Hand a change to whoever watches its namespace."""
        for reader in tuple(self._readers):
            reader.offer(change)

    def watch(self, namespace: str) -> AsyncIterator[VideoChange]:
        """Changes of a namespace from this call on, until the iterator is dropped."""
        reader = _Reader(namespace)
        self._readers.add(reader)
        return reader


class _Reader(AsyncIterator[VideoChange]):
    """Changes that one reader has not seen yet, at most one of each object."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self._pending: dict[str, VideoChange] = {}
        self._any = asyncio.Event()

    def offer(self, change: VideoChange) -> None:
        if change.video.namespace == self.namespace:
            self._pending[change.video.name] = change
            self._any.set()

    async def __anext__(self) -> VideoChange:
        while not self._pending:
            self._any.clear()
            await self._any.wait()
        return self._pending.pop(next(iter(self._pending)))
