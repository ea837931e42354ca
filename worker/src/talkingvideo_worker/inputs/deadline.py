"""A point in time by which work has to be done, passed through all layers that wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class DeadlinePassedError(Exception):
    """No time is left for the input."""


@dataclass(frozen=True)
class Deadline:
    """A deadline on a monotonic clock.

    Attributes:
        at: The deadline, in seconds of ``clock``.
        clock: A monotonic clock.
    """

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """A deadline ``seconds`` from now."""
        return cls(clock() + seconds, clock)

    @property
    def passed(self) -> bool:
        """Whether no time is left."""
        return self.clock() >= self.at

    def remaining(self, at_most: float | None = None) -> float:
        """Seconds left, or ``at_most`` if that is less.

        Raises:
            DeadlinePassedError: When no time is left.
        """
        left = self.at - self.clock()
        if left <= 0:
            raise DeadlinePassedError
        return left if at_most is None else min(left, at_most)
