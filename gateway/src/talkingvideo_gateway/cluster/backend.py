"""Puts the cluster's back end together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from talkingvideo_clients.kube.api import VIDEOS, Api
from talkingvideo_clients.kube.reflector import Reflector
from talkingvideo_gateway.cluster.cache import VideoCache
from talkingvideo_gateway.cluster.media import S3Media
from talkingvideo_gateway.cluster.missing import MissingNames
from talkingvideo_gateway.cluster.operator import OperatorWatch
from talkingvideo_gateway.cluster.records import ObjectRecord
from talkingvideo_gateway.cluster.settings import ClusterSettings
from talkingvideo_gateway.cluster.videos import ClusterVideos
from talkingvideo_gateway.videos.backend import Backend, Health

logger = logging.getLogger(__name__)

STALE_SECONDS = 60.0
"""Time without an answer of the API server after which what the cache says is too old to be served."""

FIRST_LIST_SECONDS = 10.0
"""How long the first list may take before requests are answered without it; the readiness probe waits for it."""


@asynccontextmanager
async def cluster_backend(api: Api, settings: ClusterSettings) -> AsyncIterator[Backend]:
    """Watch the videos until the context ends; begin once everything is listed, or the API server has not answered for long.

    Args:
        api: The API server.
        settings: The namespaces and stores.
    """
    cache, media = VideoCache(), S3Media(settings)
    operator = OperatorWatch(api, settings.operator_lease)
    namespaces: Sequence[str | None] = settings.namespaces or (None,)
    reflectors = [Reflector(api, cache.records, VIDEOS, ObjectRecord.of, namespace) for namespace in namespaces]
    tasks = [asyncio.create_task(each.run(), name="watch") for each in reflectors]
    tasks.append(asyncio.create_task(operator.run(), name="operator-lease"))
    for task in tasks:
        task.add_done_callback(_log_end)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LIST_SECONDS):
                await asyncio.gather(*(each.synced.wait() for each in reflectors))
        yield Backend(ClusterVideos(api, cache, MissingNames()), media, _health(settings, reflectors, operator, tasks))
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        media.close()


def _log_end(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.error("the task %s has ended", task.get_name(), exc_info=error)


def _health(
    settings: ClusterSettings,
    reflectors: Sequence[Reflector[ObjectRecord]],
    operator: OperatorWatch,
    tasks: Sequence[asyncio.Task[None]],
) -> Callable[[], Health]:
    def health() -> Health:
        problem = _problem(reflectors, tasks)
        message = problem or ("" if operator.at_work else "No operator renews its Lease: videos wait until one does.")
        return Health(ready=not message, engine=settings.engine, gpu=settings.gpu, message=message, serving=not problem)

    return health


def _problem(reflectors: Sequence[Reflector[ObjectRecord]], tasks: Sequence[asyncio.Task[None]]) -> str:
    """Why requests cannot be answered; empty where they can."""
    if any(task.done() for task in tasks):
        return "The watch of the videos has ended; see the log."
    if not all(each.synced.is_set() for each in reflectors):
        return "The videos are being listed."
    if max(each.failing_seconds for each in reflectors) > STALE_SECONDS:
        return "The Kubernetes API has not answered for a minute."
    return ""
