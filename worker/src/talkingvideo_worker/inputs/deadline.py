"""A point in time by which work has to be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class DeadlinePassedError(Exception):
    """The time for an input is used up."""


@dataclass(frozen=True)
class Deadline:
    """Counts down.

    Attributes:
        at: When the time is up, on ``clock``.
        clock: Seconds that only grow.
    """

    at: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Callable[[], float] = time.monotonic) -> Deadline:
        """The deadline that many seconds from now."""
        return cls(clock() + seconds, clock)

    @property
    def passed(self) -> bool:
        """Whether the time is up."""
        return self.clock() >= self.at

    def remaining(self, at_most: float | None = None) -> float:
        """Seconds left, or ``at_most`` where that is less.

        Raises:
            DeadlinePassedError: When nothing is left.
        """
        left = self.at - self.clock()
        if left <= 0:
            raise DeadlinePassedError
        return left if at_most is None else min(left, at_most)
