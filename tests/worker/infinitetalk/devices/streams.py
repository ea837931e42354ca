"""Stand-ins for streams of a GPU and their events. Work on a stream is done when something waits for it, not before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Stream:
    """Work in order."""

    def __init__(self, _device: Any = None) -> None:
        self._work: list[Callable[[], object]] = []
        self._done = 0

    @property
    def started(self) -> int:
        """How much has been started."""
        return len(self._work)

    def start(self, work: Callable[[], object]) -> None:
        """Put work behind what has been started before."""
        self._work.append(work)

    def finish(self, count: int) -> None:
        """Do what was started first."""
        while self._done < count:
            self._work[self._done]()
            self._done += 1

    def wait_stream(self, other: Stream) -> None:
        """Wait for all that another has started."""
        other.finish(other.started)

    def wait_event(self, event: Event) -> None:
        """Wait for a place in another stream."""
        event.wait()


class Event:
    """A place in a stream."""

    def __init__(self) -> None:
        self._stream: Stream | None = None
        self._count = 0

    def record(self, stream: Stream) -> None:
        """Behind what has been started until now."""
        self._stream, self._count = stream, stream.started

    def wait(self) -> None:
        """Until the stream has come here; at once for an event that was never recorded."""
        if self._stream is not None:
            self._stream.finish(self._count)
