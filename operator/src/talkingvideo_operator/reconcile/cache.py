"""What is known of the cluster: projections, fed by watches, by resyncs and by the operator's own writes.

A dict of our own instead of kopf's indices, whose start-up time is quadratic in the number of objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from talkingvideo_operator.reconcile.objects import Job, Pod, Video

REMEMBERED_DELETIONS = 20_000


class Item(Protocol):
    """What a shelf keeps."""

    @property
    def uid(self) -> str:
        """The object's uid."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name, unique below one owner."""

    @property
    def owner(self) -> str:
        """Uid of the TalkingVideo."""

    @property
    def resource_version(self) -> int:
        """Grows with each change; comparable since Kubernetes promises so."""


T = TypeVar("T", bound=Item)


class Shelf(Generic[T]):
    """Objects of one kind, by owner and name.

    News may come twice, late, and from three sources: an older state never replaces a newer one, and what was deleted
    never comes back.
    """

    def __init__(self) -> None:
        self._items: dict[str, dict[str, T]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def of(self, owner: str) -> tuple[T, ...]:
        """The objects of one owner."""
        return tuple(self._items.get(owner, {}).values())

    def all(self) -> Iterator[T]:
        """Every object."""
        return (item for items in self._items.values() for item in items.values())

    def put(self, item: T) -> T | None:
        """Keep what is newer than what is known.

        Returns:
            What it replaced: the item itself when it is news of an unknown object, None when it is no news.
        """
        known = self._items.get(item.owner, {}).get(item.name)
        if item.uid in self._deleted or (known is not None and known.resource_version >= item.resource_version):
            return None
        self._items.setdefault(item.owner, {})[item.name] = item
        return known if known is not None else item

    def remove(self, item: T) -> bool:
        """Forget an object that is gone; another one of the same name stays."""
        if item.uid:
            self._deleted[item.uid] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                self._deleted.popitem(last=False)
        known = self._items.get(item.owner, {}).get(item.name)
        if known is None or known.uid != item.uid:
            return False
        del self._items[item.owner][item.name]
        if not self._items[item.owner]:
            del self._items[item.owner]
        return True

    def correct(self, item: T) -> None:
        """Replace an object by what the operator itself has just done to it."""
        self._items.setdefault(item.owner, {})[item.name] = item

    def resync(self, items: Iterable[T], resource_version: int, namespace: str | None = None) -> set[str]:
        """Take a complete list: add what is missing, remove what is gone since (a watch may have missed that).

        Args:
            items: All objects there were.
            resource_version: When; what is newer is not in the list and stays.
            namespace: The namespace that was listed; all of them when None.

        Returns:
            Owners of what has changed.
        """
        listed = {item.uid: item for item in items}
        present = (item for item in self.all() if namespace is None or item.namespace == namespace)
        gone = [item for item in present if item.uid not in listed and 0 < item.resource_version <= resource_version]
        changed = {item.owner for item in gone if self.remove(item)}
        return changed | {item.owner for item in listed.values() if self.put(item) is not None}


class Cache:
    """Videos, Jobs and pods."""

    def __init__(self) -> None:
        self.videos: Shelf[Video] = Shelf()
        self.jobs: Shelf[Job] = Shelf()
        self.pods: Shelf[Pod] = Shelf()

    def video(self, uid: str) -> Video | None:
        """The video of that uid."""
        return next(iter(self.videos.of(uid)), None)

    def jobs_of(self, video: Video) -> tuple[Job, ...]:
        """A video's Jobs. Labels of another namespace's Jobs say nothing of it."""
        return tuple(job for job in self.jobs.of(video.uid) if job.namespace == video.namespace)

    def pods_of(self, video: Video) -> dict[str, tuple[Pod, ...]]:
        """A video's pods by their Job's uid, likewise."""
        grouped: dict[str, tuple[Pod, ...]] = {}
        for pod in self.pods.of(video.uid):
            if pod.namespace == video.namespace:
                grouped[pod.job_uid] = (*grouped.get(pod.job_uid, ()), pod)
        return grouped

    def mark_deleting(self, job: Job) -> None:
        """Note that a Job was asked to go, before its watch says so."""
        self.jobs.correct(replace(job, deleting=True))
