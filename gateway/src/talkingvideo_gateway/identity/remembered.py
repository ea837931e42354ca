"""Answers that are used again for some seconds."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")

REMEMBERED = 4_096


class Remembered(Generic[K, V]):
    """Answers by question. A question that is asked many times at once is answered once; an error is not remembered.

    Args:
        seconds: How long an answer is used.
        clock: Seconds, monotonic.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._answers: OrderedDict[K, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, question: K, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer, asked for where it is not known."""
        until, task = self._answers.get(question, (0.0, None))
        if task is None or until <= self._clock() or _has_failed(task):
            self._answers.pop(question, None)
            task = asyncio.ensure_future(_awaited(ask))
            self._answers[question] = (self._clock() + self._seconds, task)
            if len(self._answers) > REMEMBERED:
                self._answers.popitem(last=False)
        # Whoever asks may give up; the others still wait for the same answer.
        return await asyncio.shield(task)


async def _awaited(ask: Callable[[], Awaitable[V]]) -> V:
    return await ask()


def _has_failed(task: asyncio.Task[V]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
