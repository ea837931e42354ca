"""Records events, which ``kubectl describe`` shows. Best effort: nothing depends on one."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import OrderedDict
from dataclasses import replace
from datetime import UTC, datetime

from talkingvideo_api import names
from talkingvideo_api.texts import printable, truncate
from talkingvideo_clients.kube.api import EVENTS, Api, ApiError, LeaseNotHeldError
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.planning.decision import Event

logger = logging.getLogger(__name__)

REPEAT_SECONDS = 300
"""The same event of the same object is not repeated within this time."""

MAX_REMEMBERED = 5_000
MAX_NOTE_BYTES = 1_024
"""The API server refuses longer ones."""

MAX_PENDING = 1_000


class EventRecorder:
    """Posts events in the background, so that nothing waits for them."""

    def __init__(self, api: Api, instance: str) -> None:
        self._api = api
        self._instance = instance
        self._recorded: OrderedDict[tuple[str, Event], float] = OrderedDict()
        self._pending: asyncio.Queue[tuple[Video, Event]] = asyncio.Queue(MAX_PENDING)

    def record(self, video: Video, events: tuple[Event, ...]) -> None:
        """Queue events to be posted; when too many wait, the newest are dropped."""
        for event in (replace(each, message=truncate(printable(each.message), MAX_NOTE_BYTES)) for each in events):
            if self._is_repeated(video, event):
                continue
            try:
                self._pending.put_nowait((video, event))
            except asyncio.QueueFull:
                logger.debug("too many events are waiting; dropped %s", event.reason)

    async def post(self) -> None:
        """Post queued events forever."""
        while True:
            video, event = await self._pending.get()
            try:
                await self._api.create(EVENTS, video.namespace, self._body(video, event))
            except (ApiError, LeaseNotHeldError) as error:
                logger.debug("cannot post event %s of %s: %s", event.reason, video.name, error)

    def _is_repeated(self, video: Video, event: Event) -> bool:
        key, now = (video.uid, event), time.monotonic()
        last = self._recorded.get(key)
        if last is not None and now - last < REPEAT_SECONDS:
            return True
        self._recorded[key] = now
        self._recorded.move_to_end(key)
        if len(self._recorded) > MAX_REMEMBERED:
            self._recorded.popitem(last=False)
        return False

    def _body(self, video: Video, event: Event) -> dict[str, object]:
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{video.name[:200]}.{uuid.uuid4().hex[:16]}", "namespace": video.namespace},
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "action": "Reconcile",
            "reason": event.reason.value,
            "note": event.message,
            "type": "Warning" if event.warning else "Normal",
            "reportingController": f"{names.GROUP}/operator",
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": names.API_VERSION,
                "kind": names.KIND,
                "name": video.name,
                "namespace": video.namespace,
                "uid": video.uid,
            },
        }
