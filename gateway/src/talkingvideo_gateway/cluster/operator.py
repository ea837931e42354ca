"""Whether an operator is at work, from its Lease: read now and then, not for each question."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NoReturn

from talkingvideo_clients.kube.api import LEASES, Api, ApiError
from talkingvideo_gateway.cluster.settings import OperatorLease

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0
PATIENCE_SECONDS = 30.0
"""A Lease that has not changed for so long is one that nobody renews; an operator renews it every few seconds."""


class OperatorWatch:
    """Knows whether the operator's Lease is renewed. Clocks of other machines are not trusted: only changes count.

    Args:
        api: The API server.
        lease: Where the Lease is; without one, an operator is assumed.
    """

    def __init__(self, api: Api, lease: OperatorLease | None) -> None:
        self._api = api
        self._lease = lease
        self._seen = ""
        self._changed = time.monotonic()
        self._held = True

    @property
    def at_work(self) -> bool:
        """Whether an operator renews the Lease."""
        return self._held and (self._lease is None or time.monotonic() - self._changed < PATIENCE_SECONDS)

    async def run(self) -> NoReturn:
        """Read the Lease at intervals until the task is cancelled."""
        while True:
            if self._lease is not None:
                await self._look(self._lease)
            await asyncio.sleep(INTERVAL_SECONDS)

    async def _look(self, lease: OperatorLease) -> None:
        try:
            body = await self._api.get(LEASES, lease.namespace, lease.name)
        except ApiError as error:
            logger.warning("cannot read the operator's lease %s/%s: %s", lease.namespace, lease.name, error)
            return
        self._held = bool((body.get("spec") or {}).get("holderIdentity"))
        if (version := body["metadata"]["resourceVersion"]) != self._seen:
            self._seen, self._changed = version, time.monotonic()
