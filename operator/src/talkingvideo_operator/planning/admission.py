"""Who may render next: bounds for the namespace and the cluster, first come first served, priority before that.

(The bound of one video, ``chunking.maxParallel``, is part of what it asks for.) Jobs that Kueue admits are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from talkingvideo_api.profile import Profile
from talkingvideo_clients.kube.objects import Video


@dataclass(frozen=True)
class QueueEntry:
    """A video's wish to start render Jobs."""

    uid: str
    namespace: str
    rank: int
    """Of its priority class: 0 is the most urgent."""
    since: datetime
    wanted: int
    """Jobs it would start now."""
    namespace_limit: int | None = None
    """The profile's bound for its namespace."""

    @property
    def place(self) -> tuple[int, datetime, str]:
        """Sort key in the queue."""
        return (self.rank, self.since, self.uid)


@dataclass(frozen=True)
class Grant:
    """What a video gets."""

    slots: int
    position: int | None = None
    """Its place among those that wait, from 1, when it gets nothing."""
    deferred: int = 0
    """Jobs that it would start and may not yet."""


@dataclass(frozen=True)
class Admission:
    """The queue as it stands.

    Attributes:
        limit: Render Jobs at once in the cluster.
        active: Unfinished render Jobs by namespace.
        entries: What videos want, by uid.
    """

    limit: int | None = None
    active: Mapping[str, int] = field(default_factory=dict)
    entries: Mapping[str, QueueEntry] = field(default_factory=dict)

    def grant(self, entry: QueueEntry) -> Grant:
        """Decide one video's claim, which replaces what the queue knows of it."""
        grants = self._grants([*(c for uid, c in self.entries.items() if uid != entry.uid), entry])
        return grants.get(entry.uid, Grant(0))

    def admitted(self) -> list[str]:
        """The videos that may start something now."""
        return [uid for uid, grant in self._grants(self.entries.values()).items() if grant.slots]

    def _grants(self, entries: Iterable[QueueEntry]) -> dict[str, Grant]:
        free = None if self.limit is None else max(0, self.limit - sum(self.active.values()))
        active = Counter(self.active)
        grants: dict[str, Grant] = {}
        waiting = 0
        for entry in sorted((c for c in entries if c.wanted > 0), key=lambda c: c.place):
            bounds = [entry.wanted]
            if free is not None:
                bounds.append(free)
            if entry.namespace_limit is not None:
                bounds.append(max(0, entry.namespace_limit - active[entry.namespace]))
            slots = min(bounds)
            if slots == 0:
                waiting += 1
            grants[entry.uid] = Grant(slots, None if slots else waiting, entry.wanted - slots)
            active[entry.namespace] += slots
            free = None if free is None else free - slots
        return grants


def queue_entry(video: Video, profile: Profile, wanted: int, since: datetime | None) -> QueueEntry:
    """A video's place in the queue: its priority class by the profile's list, then the time its work began."""
    classes = profile.allow.priority_classes
    priority = video.spec.priority if video.spec else None
    return QueueEntry(
        uid=video.uid,
        namespace=video.namespace,
        rank=classes.index(priority) if priority in classes else len(classes),
        since=since or video.created,
        wanted=wanted,
        namespace_limit=profile.max_parallel_per_namespace,
    )
