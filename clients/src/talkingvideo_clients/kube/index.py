"""An index of objects of one kind, filled by lists and watches.

A dictionary instead of kopf's indices, whose start-up time is quadratic in the number of objects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from talkingvideo_clients.kube.api import Api, Resource
from talkingvideo_clients.kube.objects import Body, try_parse

REMEMBERED_DELETIONS = 20_000


class Item(Protocol):
    """What an index holds: a projection of an object."""

    @property
    def uid(self) -> str:
        """The object's uid; empty while it is being created."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def name(self) -> str:
        """Its name, unique among the objects of one owner."""

    @property
    def owner(self) -> str:
        """Uid of the TalkingVideo that it belongs to, or is."""

    @property
    def resource_version(self) -> int:
        """Grows with each change; Kubernetes guarantees that versions of one resource can be compared."""


T = TypeVar("T", bound=Item)


@dataclass(frozen=True)
class Listed:
    """What a list has shown."""

    version: str
    """Resource version of the list, from which a watch can go on."""
    changed: set[str]
    """Owners of the objects that have changed."""


class Index(Generic[T]):
    """Objects of one kind, by owner, namespace and name.

    The namespace is part of the key, because the owner may be no more than a label: an object of another namespace that
    names the same owner must not take the place of its namesake.

    A change may be reported twice, late, and by three sources. An older state never replaces a newer one, and a deleted
    object never comes back.

    Args:
        stored: Called with each object that is stored.
        removed: Called with each object that is removed, as it was known last.
    """

    def __init__(
        self, stored: Callable[[T], None] = lambda _item: None, removed: Callable[[T], None] = lambda _item: None
    ) -> None:
        self._stored, self._removed = stored, removed
        self._items: dict[str, dict[tuple[str, str], T]] = {}
        self._deleted: OrderedDict[str, None] = OrderedDict()

    def by_owner(self, owner: str) -> tuple[T, ...]:
        """The objects of one owner."""
        return tuple(self._items.get(owner, {}).values())

    def all(self) -> Iterator[T]:
        """Every object."""
        return (item for items in self._items.values() for item in items.values())

    def named(self, owner: str, namespace: str, name: str) -> T | None:
        """The object of that owner, namespace and name."""
        return self._items.get(owner, {}).get((namespace, name))

    def known(self, item: T) -> T | None:
        """The known state of an object, or another object of its owner, namespace and name."""
        return self.named(item.owner, item.namespace, item.name)

    def update(self, item: T) -> bool:
        """Store an object unless a newer state of it is known; return whether the index has changed."""
        known = self.known(item)
        if item.uid in self._deleted or (known is not None and known.resource_version >= item.resource_version):
            return False
        self.assume(item)
        return True

    def assume(self, item: T) -> None:
        """Store the state that a write of this process has just produced, before a watch reports it."""
        self._items.setdefault(item.owner, {})[item.namespace, item.name] = item
        self._stored(item)

    def delete(self, item: T) -> bool:
        """Remove a deleted object; another one of the same name stays. Return whether the index has changed."""
        if item.uid:
            self._deleted[item.uid] = None
            if len(self._deleted) > REMEMBERED_DELETIONS:
                self._deleted.popitem(last=False)
        known = self.known(item)
        if known is None or known.uid != item.uid:
            return False
        del self._items[item.owner][item.namespace, item.name]
        if not self._items[item.owner]:
            del self._items[item.owner]
        self._removed(known)
        return True

    def replace(self, items: Iterable[T], resource_version: int, namespace: str | None = None) -> set[str]:
        """Take over a complete list: add what is missing and remove what is gone, which a watch may have missed.

        Args:
            items: All objects that exist.
            resource_version: Of the list. A newer object is not in the list and stays.
            namespace: The namespace that was listed; all of them when None.

        Returns:
            Owners of the objects that have changed.
        """
        listed = {item.uid: item for item in items}
        present = (item for item in self.all() if namespace is None or item.namespace == namespace)
        gone = [item for item in present if item.uid not in listed and 0 < item.resource_version <= resource_version]
        changed = {item.owner for item in gone if self.delete(item)}
        return changed | {item.owner for item in listed.values() if self.update(item)}


async def relist(
    api: Api,
    index: Index[T],
    resource: Resource,
    project: Callable[[Body], T],
    namespace: str | None = None,
    selector: str = "",
) -> Listed:
    """List a resource into an index. Watches alone do not suffice: they miss what is deleted while they are down.

    Args:
        api: The API server.
        index: Where the objects go.
        resource: What to list.
        project: Projects an object as the API returns it. An object that it cannot parse is left out.
        namespace: The namespace to list; all of them when None.
        selector: Label selector.
    """
    items: list[T] = []
    version = ""
    async for page in api.pages(resource, namespace, selector):
        bodies = page["items"]
        while bodies:
            if (item := try_parse(project, bodies.pop())) is not None:
                items.append(item)
        version = page["metadata"]["resourceVersion"]
    return Listed(version, index.replace(items, int(version), namespace))
