"""Names that no video has: asked of the API server once, and not again for every poll."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

REMEMBERED = 10_000
SECONDS = 5.0
"""How long a name counts as free. A video that appears meanwhile is in the cache as soon as the watch reports it."""

LOOKUPS_PER_SECOND = 20
"""Most names that are asked for, whoever guesses them."""


class MissingNames:
    """Decides whether the API server is asked for a name that the cache does not know.

    Another gateway may have created the video a moment ago, before the watch of this one reports it. Polls of a name that
    does not exist must cost the API server nothing nevertheless, nor must those of many made-up names.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._second = 0
        self._lookups = 0

    def is_worth_asking(self, namespace: str, name: str) -> bool:
        """Whether to ask now; the answer counts as an attempt."""
        now = self._clock()
        if self._until.get((namespace, name), 0.0) > now:
            return False
        if int(now) != self._second:
            self._second, self._lookups = int(now), 0
        self._lookups += 1
        return self._lookups <= LOOKUPS_PER_SECOND

    def note(self, namespace: str, name: str) -> None:
        """The API server knows no such video."""
        self._until.pop((namespace, name), None)
        self._until[namespace, name] = self._clock() + SECONDS
        if len(self._until) > REMEMBERED:
            self._until.popitem(last=False)
