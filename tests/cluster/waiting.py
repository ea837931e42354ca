"""Waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1


def wait_until(what: str, attempt: Callable[[], T | None], timeout: float = 30) -> T:
    """Poll until ``attempt`` returns something true, and return that.

    Raises:
        TimeoutError: It stayed false for ``timeout`` seconds; the message names ``what`` and the last value.
    """
    deadline = time.monotonic() + timeout
    while not (value := attempt()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} within {timeout:.0f} s, last seen: {value!r}")
        time.sleep(_POLL_SECONDS)
    return value
