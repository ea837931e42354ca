"""An API server of dicts: enough for the Lease, the reconciler and its effects."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from talkingvideo_clients.kube.api import ApiError, Resource


class FakeApi:
    """Objects by resource and name, with resource versions; ``refuse`` makes calls fail."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refuse: dict[str, ApiError] = {}
        self.version = 100

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if call in self.refuse:
            raise self.refuse[call]

    def _store(self, resource: Resource, body: dict[str, Any]) -> dict[str, Any]:
        self.version += 1
        stored = copy.deepcopy(body)
        meta = stored["metadata"]
        meta["resourceVersion"] = str(self.version)
        meta.setdefault("uid", f"uid-{self.version}")
        meta.setdefault("creationTimestamp", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        self.objects[resource.plural, meta["name"]] = stored
        return copy.deepcopy(stored)

    async def get(self, resource: Resource, namespace: str, name: str) -> dict[str, Any]:
        self._note(f"get {resource.plural}")
        try:
            return copy.deepcopy(self.objects[resource.plural, name])
        except KeyError:
            raise ApiError(404, "not found") from None

    async def pages(
        self, resource: Resource, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[dict[str, Any]]:
        self._note(f"list {resource.plural}")
        items = [copy.deepcopy(body) for (plural, _), body in self.objects.items() if plural == resource.plural]
        yield {"metadata": {"resourceVersion": str(self.version)}, "items": items}

    async def create(self, resource: Resource, namespace: str, body: dict[str, Any]) -> dict[str, Any]:
        self._note(f"create {resource.plural}")
        if (resource.plural, body["metadata"]["name"]) in self.objects:
            raise ApiError(409, "already exists")
        return self._store(resource, body)

    async def replace(self, resource: Resource, namespace: str, name: str, body: dict[str, Any]) -> dict[str, Any]:
        self._note(f"replace {resource.plural}")
        known = self.objects[resource.plural, name]
        if body["metadata"].get("resourceVersion") != known["metadata"]["resourceVersion"]:
            raise ApiError(409, "the object has been modified")
        return self._store(resource, body)

    async def replace_status(
        self, resource: Resource, namespace: str, name: str, body: dict[str, Any]
    ) -> dict[str, Any]:
        self._note("status")
        known = self.objects[resource.plural, name]
        if body["metadata"]["resourceVersion"] != known["metadata"]["resourceVersion"]:
            raise ApiError(409, "the object has been modified")
        return self._store(resource, {**known, "status": body["status"]})

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        self._note(f"delete {resource.plural}")
        if self.objects.pop((resource.plural, name), None) is None:
            raise ApiError(404, "not found")

    async def delete_collection(self, resource: Resource, namespace: str, selector: str) -> None:
        self._note(f"delete all {resource.plural} {selector}")
        wanted = [term.partition("=")[::2] for term in selector.split(",") if "!=" not in term]
        for key, body in list(self.objects.items()):
            labels = body["metadata"].get("labels", {})
            if key[0] == resource.plural and "!=" not in selector and all(labels.get(k) == v for k, v in wanted):
                del self.objects[key]
        await asyncio.sleep(0)
