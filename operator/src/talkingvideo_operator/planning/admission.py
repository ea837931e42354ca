"""Admission of render Jobs: limits for the namespace and the cluster, by priority, then first come, first served.

The limit of one video, ``chunking.maxParallel``, is part of what it requests. Jobs that Kueue admits are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from talkingvideo_api.conditions import Phase
from talkingvideo_api.effective import DEFAULT_MAX_PARALLEL
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_operator.settings import OperatorConfig


@dataclass(frozen=True)
class QueueEntry:
    """A video's request for render slots."""

    uid: str
    namespace: str
    rank: int
    """Of its priority class: 0 is the most urgent."""
    since: datetime
    wanted: int
    """Jobs that it would start now."""
    namespace_limit: int | None = None
    """The profile's limit for the namespace."""

    @property
    def sort_key(self) -> tuple[int, datetime, str]:
        """The order in the queue."""
        return (self.rank, self.since, self.uid)


@dataclass(frozen=True)
class Grant:
    """What a video is granted."""

    slots: int
    position: int | None = None
    """Its position among the videos that wait, from 1, when it is granted nothing."""
    deferred: int = 0
    """Jobs that it requested and that have to wait."""


@dataclass(frozen=True)
class Admission:
    """The queue at one moment.

    Attributes:
        limit: Render Jobs at once in the cluster.
        active: Unfinished render Jobs by namespace.
        entries: What videos request, by uid.
    """

    limit: int | None = None
    active: Mapping[str, int] = field(default_factory=dict)
    entries: Mapping[str, QueueEntry] = field(default_factory=dict)

    def grant(self, entry: QueueEntry) -> Grant:
        """Decide one video's request, which replaces the entry that the queue has for it."""
        others = (other for uid, other in self.entries.items() if uid != entry.uid)
        return self._grants([*others, entry]).get(entry.uid, Grant(0))

    def admitted(self) -> list[str]:
        """The videos that may start Jobs now."""
        return [uid for uid, grant in self._grants(self.entries.values()).items() if grant.slots]

    def _grants(self, entries: Iterable[QueueEntry]) -> dict[str, Grant]:
        free = None if self.limit is None else max(0, self.limit - sum(self.active.values()))
        active = Counter(self.active)
        grants: dict[str, Grant] = {}
        waiting = 0
        for entry in sorted((each for each in entries if each.wanted > 0), key=lambda each: each.sort_key):
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


def max_parallel(spec: TalkingVideoSpec) -> int:
    """How many chunks of one video are rendered at once."""
    return (spec.chunking.max_parallel if spec.chunking else None) or DEFAULT_MAX_PARALLEL


def queue_entry(video: Video, profile: Profile, wanted: int, since: datetime | None) -> QueueEntry:
    """A video's entry: ranked by its priority class in the profile's list, then by the time its work began."""
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


def admission_of(videos: Iterable[Video], jobs: Iterable[Job], config: OperatorConfig, now: datetime) -> Admission:
    """The queue as statuses and Jobs show it; empty where the configuration sets no limit.

    Args:
        videos: The videos that may request slots.
        jobs: All Jobs of all videos.
        config: Limits and profiles.
        now: The time of the decision.
    """
    limited = any(profile.max_parallel_per_namespace for profile in config.profiles.values())
    if config.max_parallel is None and not limited:
        return Admission()
    rendering = Counter(
        (job.namespace, job.owner) for job in jobs if job.stage is Stage.RENDER and job.unfinished and not job.queued
    )
    active: Counter[str] = Counter()
    for (namespace, _), count in rendering.items():
        active[namespace] += count
    entries = (_entry_from_status(video, rendering[video.namespace, video.uid], config, now) for video in videos)
    return Admission(config.max_parallel, active, {entry.uid: entry for entry in entries if entry})


def _entry_from_status(video: Video, running: int, config: OperatorConfig, now: datetime) -> QueueEntry | None:
    """What a video would start as far as its status tells; when it is reconciled itself, `plan` knows better."""
    chunks, spec = video.status.chunks, video.spec
    profile = config.profiles.get(video.status.effective.profile) if video.status.effective else None
    if video.status.phase is not Phase.RENDERING or chunks is None or spec is None or profile is None:
        return None
    if spec.queue_name or video.deleting:
        return None
    backing_off = sum(1 for entry in chunks.failed if entry.not_before and entry.not_before > now)
    wanted = max(0, min(chunks.total - chunks.done - backing_off, max_parallel(spec)) - running)
    return queue_entry(video, profile, wanted, video.status.start_time)
