"""Keeps the queues for slots up to date, so that asking for one costs as much as has changed since the last time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from talkingvideo_api.names import Stage
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.planning.admission import Admission, Queue, QueueEntry
from talkingvideo_operator.planning.demand import Demand, demand_of
from talkingvideo_operator.planning.namespaces import Namespace
from talkingvideo_operator.settings import OperatorConfig


class Slots:
    """What all videos take and request.

    Args:
        cache: Videos and Jobs. Only Jobs of existing videos take slots.
        config: Bounds and profiles.
        refused: Whether a video's Jobs are being refused (by a quota, say). It takes no slot from the others.
    """

    def __init__(self, cache: Cache, config: OperatorConfig, refused: Callable[[str], bool]) -> None:
        self._cache = cache
        self._config = config
        self._refused = refused
        self._namespaces: dict[str, Namespace] = {}
        self._demands: dict[str, Demand] = {}
        self._active: dict[Stage, Counter[str]] = {stage: Counter() for stage in Stage}
        self._entries: dict[Stage, dict[str, QueueEntry]] = {stage: {} for stage in Stage}
        self._changed: set[str] = set()
        self._admission: Admission | None = None

    def touch(self, uid: str) -> None:
        """Consider a video again, of which something has changed that the cache does not show."""
        self._changed.add(uid)

    def set_namespace(self, name: str, namespace: Namespace) -> None:
        """Consider the videos of a namespace by what it says now."""
        if self._namespaces.get(name) != namespace:
            self._namespaces[name] = namespace
            self._changed |= {uid for uid, demand in self._demands.items() if demand.namespace == name}

    def requested(self, uid: str) -> Stage | None:
        """The stage that a video requests a slot of; None if it requests none."""
        self._update()
        demand = self._demands.get(uid)
        return demand.stage if demand and demand.entry else None

    def admission(self) -> Admission:
        """The queues at this moment."""
        self._update()
        if self._admission is None:
            self._admission = Admission({stage: self._queue(stage) for stage in Stage})
        return self._admission

    def _update(self) -> None:
        for uid in self._changed | self._cache.take_changed():
            self._consider(uid)
        self._changed = set()

    def _queue(self, stage: Stage) -> Queue:
        return Queue(self._config.limit(stage), dict(self._active[stage]), dict(self._entries[stage]))

    def _consider(self, uid: str) -> None:
        demand, known = self._demand(uid), self._demands.get(uid)
        if demand == known:
            return
        if known is not None:
            self._count(uid, known, -1)
        if demand is not None:
            self._demands[uid] = demand
            self._count(uid, demand, 1)
        self._admission = None

    def _demand(self, uid: str) -> Demand | None:
        video = self._cache.video(uid)
        if video is None:
            return None
        namespace = self._namespaces.get(video.namespace, Namespace())
        demand = demand_of(video, self._cache.jobs_of(video), self._config, namespace, datetime.now(UTC))
        return Demand(demand.namespace, demand.active) if self._refused(uid) else demand

    def _count(self, uid: str, demand: Demand, sign: int) -> None:
        """Add what a video takes and requests, or take it away."""
        for stage, cost in demand.active.items():
            self._active[stage][demand.namespace] += sign * cost
            if not self._active[stage][demand.namespace]:
                del self._active[stage][demand.namespace]
        if sign < 0:
            del self._demands[uid]
        if demand.stage is None or demand.entry is None:
            return
        if sign > 0:
            self._entries[demand.stage][uid] = demand.entry
        else:
            del self._entries[demand.stage][uid]
