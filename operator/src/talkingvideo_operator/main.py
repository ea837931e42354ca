"""The operator's process: who runs beside whom, and what must be known before the first decision."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TypeVar

import kopf
from kubernetes.aio.client import ApiClient

from talkingvideo_clients.kube.api import JOBS, PODS, VIDEOS, Api, ApiError, Resource
from talkingvideo_clients.kube.connection import configuration, own_namespace
from talkingvideo_clients.kube.index import Index, Item
from talkingvideo_clients.kube.objects import Body, Job, Pod, Video, try_parse
from talkingvideo_operator.builders.metadata import CHILD_SELECTOR
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.handlers import EventHandlers, kopf_identity, kopf_settings, registry
from talkingvideo_operator.lease import Lease, identity
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.reconciler import Reconciler
from talkingvideo_operator.settings import OperatorConfig
from talkingvideo_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

T = TypeVar("T", bound=Item)
BEAT_SECONDS = 5
RESYNC_RETRY_SECONDS = 30


async def run(config: OperatorConfig) -> None:
    """Run until a signal, a lost Lease, or the first task that fails."""
    async with ApiClient(configuration=await configuration()) as client:
        await Operator(config, client).run()


class Operator:
    """Everything of one process, wired."""

    def __init__(self, config: OperatorConfig, client: ApiClient) -> None:
        self._config = config
        self._holder = holder = identity()
        self._lease = Lease(Api(client), config.lease, config.lease.namespace or own_namespace(), holder)
        self._api = Api(client, self._lease.held)
        self._cache, self._queue = Cache(), WorkQueue()
        self._recorder = EventRecorder(self._api, holder)
        self._progress = ProgressReader(self._api)
        effects = Effects(self._api, self._cache, config, self._recorder)
        self._reconciler = Reconciler(self._cache, self._queue, effects, self._progress, config)
        self._handlers = EventHandlers(self._cache, self._queue, self._reconciler.enqueue_admitted)
        self._acting = False

    async def run(self) -> None:
        """Watch from the start; act once the Lease is held and everything there is has been read."""
        stopping = asyncio.Event()
        watching = asyncio.create_task(
            kopf.operator(
                identity=kopf_identity(self._holder),
                registry=registry(self._handlers, self._alive, stopping.set),
                settings=kopf_settings(),
                clusterwide=not self._config.namespaces,
                namespaces=self._config.namespaces,
                liveness_endpoint=f"http://0.0.0.0:{self._config.probe_port}/healthz",
            )
        )
        acting = asyncio.create_task(self._act())
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait((watching, acting, told), return_when=asyncio.FIRST_COMPLETED)
        if not acting.done():
            acting.cancel()
        elif not watching.done():
            watching.cancel()
        # Acting goes first: kopf waits for whatever task is still there before it ends.
        told.cancel()
        (acted,) = await asyncio.gather(acting, return_exceptions=True)
        await self._lease.release()
        (watched,) = await asyncio.gather(watching, return_exceptions=True)
        for outcome in (acted, watched):
            if isinstance(outcome, Exception):
                raise outcome

    async def _act(self) -> None:
        await self._lease.acquire()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lease.keep(), name="lease")
            await self._resync()
            self._acting = True
            group.create_task(self._recorder.post(), name="events")
            group.create_task(self._keep_in_sync(), name="resync")
            group.create_task(self._beat(), name="heartbeat")
            if self._config.progress_from_logs:
                pace = self._config.progress_seconds
                reading = self._progress.watch(self._cache.pods.all, self._queue.add, pace)
                group.create_task(reading, name="progress")
            for number in range(self._config.workers):
                group.create_task(self._reconciler.work(), name=f"reconciler-{number}")

    async def _keep_in_sync(self) -> None:
        """Resync now and then. One that fails (a restarting API server, an expired list) is no reason to end."""
        pause = self._config.resync_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await self._resync()
                pause = self._config.resync_seconds
            except ApiError as error:
                pause = min(RESYNC_RETRY_SECONDS, self._config.resync_seconds)
                logger.warning("not everything could be read: %s; once more in %.0f s", error, pause)

    async def _resync(self) -> None:
        """Read everything anew. kopf does not tell what was deleted while a watch was down."""
        began = time.monotonic()
        changed: set[str] = set()
        for namespace in self._config.namespaces or (None,):
            changed |= await self._read(self._cache.pods, PODS, namespace, CHILD_SELECTOR, Pod.of)
            changed |= await self._read(self._cache.jobs, JOBS, namespace, CHILD_SELECTOR, Job.of)
            changed |= await self._read(self._cache.videos, VIDEOS, namespace, "", Video.of)
        for uid in {*changed, *(video.uid for video in self._cache.videos.all())}:
            self._queue.add(uid)
        logger.info("read everything in %.2f s; %d videos had news", time.monotonic() - began, len(changed))

    async def _read(
        self, index: Index[T], resource: Resource, namespace: str | None, selector: str, project: Callable[[Body], T]
    ) -> set[str]:
        items: list[T] = []
        version = 0
        async for page in self._api.pages(resource, namespace, selector):
            items += (item for body in page["items"] if (item := try_parse(project, body)) is not None)
            version = int(page["metadata"]["resourceVersion"])
        return index.resync(items, version, namespace)

    async def _beat(self) -> None:
        """Show life while there is nothing to do: a key that no video has passes through the queue and a worker."""
        while True:
            self._queue.add("")
            await asyncio.sleep(BEAT_SECONDS)

    def _alive(self) -> bool:
        return not self._acting or time.monotonic() - self._reconciler.heartbeat < self._config.stale_seconds
