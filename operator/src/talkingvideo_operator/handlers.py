"""kopf's handlers: each event updates the cache and enqueues a key, and does nothing else.

Only low-level event handlers are used: no finalizers (a namespace would hang when the operator is gone), no kopf.index
(its start-up is quadratic), no daemons or timers, and no chain of handlers that a lost event could break.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import kopf

from talkingvideo_api.names import GROUP, PLURAL, VERSION
from talkingvideo_clients.kube.connection import configuration
from talkingvideo_clients.kube.index import Index, Item
from talkingvideo_clients.kube.objects import Job, Pod, try_parse
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.builders.metadata import CHILD_SELECTOR
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

SERVER_TIMEOUT = 600
CLIENT_TIMEOUT = 660
CONNECT_TIMEOUT = 10
REQUEST_TIMEOUT = 60
PAGE_SIZE = 20
"""Objects that are listed at once. Each may have 1.5 MB, the API server's limit, and kopf parses a page as a whole."""

IDLE_SECONDS = 0.1
"""How long kopf's worker of an object stays after its last event, which it keeps in memory for that time."""

T = TypeVar("T", bound=Item)


def kopf_settings() -> kopf.OperatorSettings:
    """Kopf's settings: time-outs that keep watches from dying silently, and everything but watching switched off."""
    settings = kopf.OperatorSettings()
    settings.watching.server_timeout = SERVER_TIMEOUT
    settings.watching.client_timeout = CLIENT_TIMEOUT
    settings.watching.connect_timeout = CONNECT_TIMEOUT
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.label_selectors["batch", "v1", "jobs"] = CHILD_SELECTOR
    settings.watching.label_selectors["v1", "pods"] = CHILD_SELECTOR
    settings.queueing.idle_timeout = IDLE_SECONDS
    settings.networking.request_timeout = REQUEST_TIMEOUT
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.peering.standalone = True
    return settings


class EventHandlers:
    """Handlers of the events of videos, Jobs and pods.

    Args:
        cache: Is updated.
        queue: The owner of each object that has changed is added to it.
        slot_freed: Called when a Job has ended, or a video that may have waited is deleted.
    """

    def __init__(self, cache: Cache, queue: WorkQueue, slot_freed: Callable[[], None]) -> None:
        self._cache = cache
        self._queue = queue
        self._slot_freed = slot_freed

    async def video(self, event: kopf.RawEvent, **_: object) -> None:
        """Handle an event of a TalkingVideo."""
        video = VideoRecord.of(event["object"])
        if event["type"] == "DELETED":
            self._delete(self._cache.videos, video)
            self._slot_freed()
        else:
            self._update(self._cache.videos, video)

    async def job(self, event: kopf.RawEvent, **_: object) -> None:
        """Handle an event of a Job."""
        job = try_parse(Job.of, event["object"])
        if job is None:
            return
        known = self._cache.jobs.known(job)
        if event["type"] == "DELETED":
            self._delete(self._cache.jobs, job)
        else:
            self._update(self._cache.jobs, job)
        ended = event["type"] == "DELETED" or not job.unfinished
        if ended and known is not None and known.unfinished:
            self._slot_freed()

    async def pod(self, event: kopf.RawEvent, **_: object) -> None:
        """Handle an event of a pod."""
        pod = try_parse(Pod.of, event["object"])
        if pod is None:
            return
        if event["type"] == "DELETED":
            self._delete(self._cache.pods, pod)
        else:
            self._update(self._cache.pods, pod)

    def _update(self, index: Index[T], item: T) -> None:
        if index.update(item):
            self._queue.add(item.owner)

    def _delete(self, index: Index[T], item: T) -> None:
        if index.delete(item):
            self._queue.add(item.owner)


async def login(**_: object) -> kopf.ConnectionInfo:
    """Log in: kopf's login handler, called again when a token has expired.

    kopf's own login handlers would use the cluster's DNS name of the API server, or import the synchronous client too.
    """
    loaded = await configuration()
    scheme, _space, token = str(loaded.api_key.get("BearerToken", "")).rpartition(" ")
    return kopf.ConnectionInfo(
        server=loaded.host,
        ca_path=loaded.ssl_ca_cert,
        insecure=not loaded.verify_ssl,
        scheme=scheme.capitalize() or None,
        token=token or None,
        certificate_path=loaded.cert_file,
        private_key_path=loaded.key_file,
    )


def registry(
    event_handlers: EventHandlers, alive: Callable[[], bool], stop: Callable[[], None]
) -> kopf.OperatorRegistry:
    """Register the handlers.

    Args:
        event_handlers: Handle the events.
        alive: Called by the liveness probe.
        stop: Called when kopf is about to end, after a signal or an error.
    """
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(login)
    kopf.on.event(GROUP, VERSION, PLURAL, registry=handlers, id="video")(event_handlers.video)
    kopf.on.event("batch", "v1", "jobs", registry=handlers, id="job")(event_handlers.job)
    kopf.on.event("v1", "pods", registry=handlers, id="pod")(event_handlers.pod)

    @kopf.on.probe(registry=handlers, id="reconciler")
    async def reconciler(**_: object) -> str:
        if not alive():
            raise kopf.PermanentError("the reconciler is inactive")
        return "alive"

    @kopf.on.cleanup(registry=handlers, id="stop")
    async def stopping(**_: object) -> None:
        stop()

    return handlers
