"""A queue of keys: each is in it at most once, is worked on by one worker at a time, and may come back later.

First in, first out, so that a busy object cannot starve the others.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SUPERSEDED = 64
"""Timers that no longer count are thrown away when there are more of them than of those that do, and than this."""


class WorkQueue:
    """Keys that wait for their turn. For one event loop."""

    def __init__(self) -> None:
        self._ready: dict[str, None] = {}
        self._busy: set[str] = set()
        self._again: set[str] = set()
        self._due: dict[str, float] = {}
        self._timers: list[tuple[float, str]] = []
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str) -> None:
        """Have a key worked on soon; once more after the present turn, if it has one."""
        self._due.pop(key, None)
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._changed.set()

    def add_after(self, key: str, seconds: float) -> None:
        """Have a key worked on later, unless it is marked before; the earliest of several times counts."""
        due = asyncio.get_running_loop().time() + max(0.0, seconds)
        if key in self._ready or self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._timers, (due, key))
        if len(self._timers) > 2 * len(self._due) + SUPERSEDED:
            self._timers = sorted((due, key) for key, due in self._due.items())
        self._changed.set()

    @asynccontextmanager
    async def get(self) -> AsyncIterator[str]:
        """Wait for a key and hold it: no other worker gets it meanwhile."""
        key = await self._next()
        try:
            yield key
        finally:
            self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)

    async def _next(self) -> str:
        while True:
            wait = self._ripen()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._busy.add(key)
                return key
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _ripen(self) -> float | None:
        """Move what is due to the ready ones; return the seconds until the next is."""
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
