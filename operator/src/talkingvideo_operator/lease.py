"""One operator acts at a time.

A holder renews its Lease every fifth of the duration, and takes it for lost two thirds of the duration after it last
*began* a renewal that succeeded. Another may take it only after it has seen no renewal for the whole duration, by its
own clock. So there is a third of the duration between the last write of one and the first of the next, whatever the
clocks say.
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

RENEWALS = 5
HOLDING = 2 / 3


class LeaseLostError(Exception):
    """Somebody else may act now: this process must end."""


def identity() -> str:
    """A name that no other operator has. A pod's container that starts again is the same operator."""
    return os.environ.get("POD_UID") or f"{os.uname().nodename}-{uuid.uuid4()}"


class Lease:
    """The Lease, as this process sees it.

    Args:
        api: Must allow writes while the Lease is not held.
        settings: Name and duration.
        namespace: Where it is.
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
        told = False
        while not await self._try():
            if not told:
                logger.info("waiting for the lease %s", self._settings.name)
                told = True
            await asyncio.sleep(self._settings.duration_seconds / RENEWALS)
        logger.info("holding the lease %s as %s", self._settings.name, self._holder)

    async def keep(self) -> None:
        """Renew for ever.

        Raises:
            LeaseLostError: The Lease could not be renewed in time.
        """
        while True:
            await asyncio.sleep(self._settings.duration_seconds / RENEWALS)
            await self._try()
            if not self.held():
                raise LeaseLostError

    async def release(self) -> None:
        """Let another take it at once; best effort."""
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
            logger.info("the lease was not released: %s", error)

    async def _try(self) -> bool:
        began = time.monotonic()
        try:
            written = await self._renew_or_take()
        except ApiError as error:
            if error.status not in (HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
                logger.warning("the lease could not be renewed: %s", error)
            return False
        if written:
            self._held_until = began + self._settings.duration_seconds * HOLDING
        return written

    async def _renew_or_take(self) -> bool:
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
        """Whether nobody renewed for its whole duration, measured here: clocks of other machines are not trusted."""
        version = lease["metadata"]["resourceVersion"]
        if version != self._seen[0]:
            self._seen = (version, time.monotonic())
        promised = float(_spec(lease).get("leaseDurationSeconds") or self._settings.duration_seconds)
        return time.monotonic() - self._seen[1] > max(promised, self._settings.duration_seconds)

    def _body(self, known: dict[str, Any]) -> dict[str, Any]:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        mine = known.get("holderIdentity") == self._holder
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._settings.name, "namespace": self._namespace},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": max(1, round(self._settings.duration_seconds)),
                "acquireTime": known.get("acquireTime", now) if mine else now,
                "renewTime": now,
                "leaseTransitions": known.get("leaseTransitions", 0) + (0 if mine or not known else 1),
            },
        }


def _spec(lease: dict[str, Any]) -> dict[str, Any]:
    """What the Lease says; one that an administrator made beforehand says nothing."""
    return lease.get("spec") or {}
