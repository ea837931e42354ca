"""A work queue of keys, as client-go's.

Each key is queued at most once, is processed by one worker at a time, and can be added for a later time. The queue is
first in, first out, so that a busy object cannot starve the others.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

MAX_STALE_TIMERS = 64
"""Superseded timers are dropped when there are more of them than of those that count, and more than this."""


class WorkQueue:
    """Keys that wait to be processed. For one event loop."""

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._processing: set[str] = set()
        self._dirty: set[str] = set()
        """Keys that were added while they are processed."""
        self._due: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Queue a key; if it is being processed, queue it once more afterwards."""
        self._due.pop(key, None)
        if key in self._processing:
            self._dirty.add(key)
        else:
            self._ready[key] = None
            self._changed.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Queue a key later, unless it is queued before; the earliest of several times counts."""
        due = asyncio.get_running_loop().time() + max(0.0, seconds)
        if key in self._ready or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._timers, (due, key))
        if len(self._timers) > 2 * len(self._due) + MAX_STALE_TIMERS:
            self._timers = sorted((due, key) for key, due in self._due.items())
        self._changed.set()

    @asynccontextmanager
    async def get(self) -> AsyncIterator[str]:
        """Wait for a key and hold it: no other worker gets it until the block ends."""
        key = await self._next()
        try:
            yield key
        finally:
            self._processing.discard(key)
            if key in self._dirty:
                self._dirty.discard(key)
                self.add(key)

    async def _next(self) -> str:
        while True:
            wait = self._add_due()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._processing.add(key)
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _add_due(self) -> float | None:
        """Queue the keys whose time has come; return the seconds until the next one's."""
        now = asyncio.get_running_loop().time()
        while self._timers:
            due, key = self._timers[0]
            if self._due.get(key) != due:
                heapq.heappop(self._timers)
            elif due <= now:
                heapq.heappop(self._timers)
                self.add(key)
            else:
                return due - now
        return None
