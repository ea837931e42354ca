"""Leader election: one operator acts at a time.

The holder renews its Lease five times per duration, and considers it lost two thirds of the duration after the *start*
of its last successful renewal. Another process acquires it only after it has seen no renewal for the whole duration, by
its own clock. So at least a third of the duration lies between the last write of one and the first write of the next,
however the clocks differ.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from talkingvideo_clients.kube.api import LEASES, Api, ApiError
from talkingvideo_operator.settings import LeaseSettings

logger = logging.getLogger(__name__)

RENEWALS_PER_DURATION = 5
HELD_FRACTION = 2 / 3


class LeaseLostError(Exception):
    """Another operator may act now: this process must end."""


def identity() -> str:
    """A name that no other operator has. A container that is restarted in its pod is the same operator."""
    return os.environ.get("POD_UID") or f"{os.uname().nodename}-{uuid.uuid4()}"


class Lease:
    """The Lease as this process sees it.

    Args:
        api: One that allows writes while the Lease is not held.
        settings: Name and duration.
        namespace: Its namespace.
        holder: This process's identity.
    """

    def __init__(self, api: Api, settings: LeaseSettings, namespace: str, holder: str) -> None:
        self._api = api
        self._settings = settings
        self._namespace = namespace
        self._holder = holder
        self._held_until = 0.0
        self._seen: tuple[str, float] = ("", 0.0)

    def held(self) -> bool:
        """Whether this process may act now."""
        return time.monotonic() < self._held_until

    async def acquire(self) -> None:
        """Wait until the Lease is held."""
        waiting = False
        while not await self._try_acquire_or_renew():
            if not waiting:
                logger.info("waiting for the lease %s", self._settings.name)
                waiting = True
            await asyncio.sleep(self._settings.duration_seconds / RENEWALS_PER_DURATION)
        logger.info("holding the lease %s as %s", self._settings.name, self._holder)

    async def keep(self) -> None:
        """Renew the Lease forever.

        Raises:
            LeaseLostError: The Lease could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._settings.duration_seconds / RENEWALS_PER_DURATION)
            await self._try_acquire_or_renew()
            if not self.held():
                raise LeaseLostError

    async def release(self) -> None:
        """Release the Lease, so that another process can acquire it at once. Best effort."""
        if not self.held():
            return
        self._held_until = 0.0
        try:
            lease = await self._api.get(LEASES, self._namespace, self._settings.name)
            spec = _spec(lease)
            if spec.get("holderIdentity") == self._holder:
                spec["holderIdentity"] = ""
                await self._api.replace(LEASES, self._namespace, self._settings.name, lease)
        except ApiError as error:
            logger.info("cannot release the lease: %s", error)

    async def _try_acquire_or_renew(self) -> bool:
        began = time.monotonic()
        try:
            written = await self._acquire_or_renew()
        except ApiError as error:
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                logger.warning("cannot renew the lease: %s", error)
            return False
        if written:
            self._held_until = began + self._settings.duration_seconds * HELD_FRACTION
        return written

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = await self._api.get(LEASES, self._namespace, self._settings.name)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._api.create(LEASES, self._namespace, self._body({}))
            return True
        spec = _spec(lease)
        holder = spec.get("holderIdentity")
        if holder not in (None, "", self._holder) and not self._expired(lease):
            return False
        body = self._body(spec)
        body["metadata"] = lease["metadata"]
        await self._api.replace(LEASES, self._namespace, self._settings.name, body)
        return True

    def _expired(self, lease: dict[str, Any]) -> bool:
        """Whether no renewal was seen for the whole duration, by this process's clock: other clocks are not trusted."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        duration = float(_spec(lease).get("leaseDurationSeconds") or self._settings.duration_seconds)
        return time.monotonic() - self._seen[1] > max(duration, self._settings.duration_seconds)

    def _body(self, known: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        held = known.get("holderIdentity") == self._holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": max(1, round(self._settings.duration_seconds)),
                "acquireTime": known.get("acquireTime", now) if held else now,
                "renewTime": now,
                "leaseTransitions": known.get("leaseTransitions", 0) + (0 if held or not known else 1),
            },
        }


def _spec(lease: dict[str, Any]) -> dict[str, Any]:
    """The Lease's spec; one that an administrator has created beforehand may have none."""
    return lease.get("spec") or {}
