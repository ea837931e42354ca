"""Objects of one kind, as lists and watches report them.

A dictionary instead of kopf's indices, whose start-up time is quadratic in the number of objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from typing import Generic, Protocol, TypeVar

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


class Index(Generic[T]):
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
