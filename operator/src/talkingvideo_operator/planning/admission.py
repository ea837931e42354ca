"""Admission of Jobs: who starts next, within the bounds of the cluster and of each namespace.

Each stage has a queue of its own, because each has a bound of its own. All of them follow the same rules:

- Between namespaces: the next Job belongs to the namespace with the least active work in proportion to its weight. So
  nobody waits for all that a neighbour has requested before.
- Within a namespace: by priority class, then first come, first served. A priority class moves nobody ahead of another
  namespace: otherwise whoever names the most urgent class in every object would have the cluster to themselves.
- What is free is kept for the Job that is next, even if smaller ones would fit: otherwise these would pass a chunk with many
  GPUs forever.

The limit of one video, ``chunking.maxParallel``, is part of what it requests. Jobs that Kueue admits are not counted.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from talkingvideo_api.names import Stage


@dataclass(frozen=True)
class QueueEntry:
    """A video's request to start Jobs of one stage."""

    uid: str
    namespace: str
    rank: int
    """Of its priority class: 0 is the most urgent."""
    since: datetime
    wanted: int
    """Jobs that it would start now."""
    cost: int = 1
    """What each of them takes: the GPUs of a chunk, otherwise 1."""
    weight: int = 1
    """The namespace's weight."""
    namespace_limit: int | None = None
    """The limit of the namespace, in the unit of cost."""

    @property
    def sort_key(self) -> tuple[int, datetime, str]:
        """The order within a namespace."""
        return (self.rank, self.since, self.uid)

    def can_ever_start(self, limit: int | None) -> bool:
        """Whether one of its Jobs fits when nothing else runs."""
        bounds = (bound for bound in (limit, self.namespace_limit) if bound is not None)
        return self.wanted > 0 and self.cost <= min(bounds, default=self.cost)


@dataclass(frozen=True)
class Grant:
    """What a video is granted."""

    jobs: int
    position: int | None = None
    """Its position among the videos that wait, from 1, when it is granted nothing."""
    deferred: int = 0
    """Jobs that it requested and that have to wait."""


@dataclass(frozen=True)
class Queue:
    """The queue of one stage at one moment.

    Attributes:
        limit: The bound of the cluster, in the unit of cost.
        active: Cost of the unfinished Jobs by namespace.
        entries: What videos request, by uid.
    """

    limit: int | None = None
    active: Mapping[str, int] = field(default_factory=dict)
    entries: Mapping[str, QueueEntry] = field(default_factory=dict)

    def grant(self, entry: QueueEntry) -> Grant:
        """Decide one video's request, which replaces the entry that the queue has for it.

        Where nothing is free, a video that is new to the queue counts as the last one until it asks again: thousands that
        arrive at once would otherwise be counted again for each of them.
        """
        if self.entries.get(entry.uid) == entry:
            return self._known_grant(entry)
        if not self._free:
            return Grant(0, len(self.entries.keys() | {entry.uid}), entry.wanted)
        return replace(self, entries={**self.entries, entry.uid: entry})._known_grant(entry)

    def admitted(self) -> list[str]:
        """The videos that may start Jobs now."""
        return list(self._started)

    def _known_grant(self, entry: QueueEntry) -> Grant:
        jobs = self._started[entry.uid]
        return Grant(jobs, None if jobs else self._positions.get(entry.uid), entry.wanted - jobs)

    @cached_property
    def _free(self) -> float:
        return math.inf if self.limit is None else max(0, self.limit - sum(self.active.values()))

    @cached_property
    def _started(self) -> Counter[str]:
        """How many Jobs each video may start; counted once, however many ask."""
        return Counter(entry.uid for entry, fits in self._in_order() if fits) if self._free else Counter()

    @cached_property
    def _positions(self) -> dict[str, int]:
        """The positions of the videos that may start nothing."""
        waiting = (entry.uid for entry, _ in self._in_order() if not self._started[entry.uid])
        return {uid: position for position, uid in enumerate(dict.fromkeys(waiting), 1)}

    def _in_order(self) -> Iterator[tuple[QueueEntry, bool]]:
        """Every Job that fits and, for each video with more than that, the first that does not, in the order of the queue.

        Those that do not fit take their turn as if they had started, so that positions are those in which they will start.
        """
        lines = self._lines()
        taken = Counter(self.active)
        free, full, started = self._free, set[str](), Counter[str]()
        turns = [_turn(line[0], taken) for line in lines.values()]
        heapq.heapify(turns)
        while turns:
            namespace = turns[0][-1]
            line = lines[namespace]
            entry = line[0]
            within = entry.namespace_limit is None or taken[namespace] + entry.cost <= entry.namespace_limit
            fits = within and namespace not in full and entry.cost <= free
            yield entry, fits
            taken[namespace] += entry.cost
            if fits:
                free -= entry.cost
                started[entry.uid] += 1
            elif not within:
                full.add(namespace)
            elif namespace not in full:
                free = 0
            if not fits or started[entry.uid] == entry.wanted:
                line.popleft()
            if line:
                heapq.heapreplace(turns, _turn(line[0], taken))
            else:
                heapq.heappop(turns)

    def _lines(self) -> dict[str, deque[QueueEntry]]:
        """The entries of each namespace, in order. One that can never start holds nobody back."""
        lines: dict[str, deque[QueueEntry]] = {}
        able = (entry for entry in self.entries.values() if entry.can_ever_start(self.limit))
        for entry in sorted(able, key=lambda entry: entry.sort_key):
            lines.setdefault(entry.namespace, deque()).append(entry)
        return lines


def _turn(head: QueueEntry, taken: Mapping[str, int]) -> tuple[float, datetime, str, str]:
    """When it is a namespace's turn: least work in proportion to its weight first, then who has waited longest."""
    return (taken[head.namespace] / head.weight, head.since, head.uid, head.namespace)


@dataclass(frozen=True)
class Admission:
    """The queues of the stages at one moment. A stage without a queue has no bound."""

    queues: Mapping[Stage, Queue] = field(default_factory=dict)

    def grant(self, stage: Stage, entry: QueueEntry) -> Grant:
        """Decide one video's request for a stage."""
        return self.queues.get(stage, Queue()).grant(entry)

    def admitted(self) -> list[str]:
        """The videos that may start Jobs now."""
        return [uid for queue in self.queues.values() for uid in queue.admitted()]
