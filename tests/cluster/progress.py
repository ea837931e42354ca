"""Telling whoever waits what was done, and how long it took."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def timed(done: str) -> Iterator[None]:
    """Print ``done`` and the block's seconds when it succeeds."""
    started = time.monotonic()
    yield
    say(f"{done} in {time.monotonic() - started:.0f} s")


def say(line: str) -> None:
    """Print a line to standard error."""
    print(line, file=sys.stderr, flush=True)
