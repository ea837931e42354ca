"""The operator's process: which tasks run beside each other, and what must be listed before the first decision."""

from __future__ import annotations

import asyncio
import logging
import os
import time

import kopf
from kubernetes.aio.client import ApiClient

from talkingvideo_clients.kube.api import JOBS, PODS, VIDEOS, Api, ApiError
from talkingvideo_clients.kube.connection import configuration, own_namespace
from talkingvideo_clients.kube.index import relist
from talkingvideo_clients.kube.objects import Job, Pod
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.builders.metadata import CHILD_SELECTOR
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.handlers import EventHandlers, kopf_settings, registry
from talkingvideo_operator.lease import Lease, identity
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.namespaces import NamespaceReader
from talkingvideo_operator.reconciler import Reconciler
from talkingvideo_operator.settings import OperatorConfig
from talkingvideo_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 5
RESYNC_RETRY_SECONDS = 30

KOPF_IDENTITY = "POD_ID"
"""The environment variable from which kopf takes its identity. Without it kopf looks up the name of the process's user,
and fails where the user id has none, as in the image."""


async def run(config: OperatorConfig) -> None:
    """Run until a signal, a lost Lease, or the first task that fails."""
    holder = identity()
    os.environ.setdefault(KOPF_IDENTITY, holder)
    async with ApiClient(configuration=await configuration()) as client:
        await Operator(config, client, holder).run()


class Operator:
    """The objects of one process, and its tasks.

    Args:
        config: The configuration.
        client: The connection to the API server.
        holder: This process's identity, which no other operator has.
    """

    def __init__(self, config: OperatorConfig, client: ApiClient, holder: str) -> None:
        self._config = config
        self._lease = Lease(Api(client), config.lease, config.lease.namespace or own_namespace(), holder)
        self._api = Api(client, self._lease.held)
        self._cache, self._queue = Cache(), WorkQueue()
        self._recorder = EventRecorder(self._api, holder)
        self._progress = ProgressReader(self._api)
        effects = Effects(self._api, self._cache, config, self._recorder)
        namespaces = NamespaceReader(self._api)
        self._reconciler = Reconciler(self._cache, self._queue, effects, self._progress, namespaces, config)
        self._handlers = EventHandlers(self._cache, self._queue, self._reconciler.enqueue_admitted)
        self._leading = False

    async def run(self) -> None:
        """Watch from the start; reconcile once the Lease is held and all objects are listed."""
        stopping = asyncio.Event()
        watching = asyncio.create_task(
            kopf.operator(
                registry=registry(self._handlers, self._alive, stopping.set),
                settings=kopf_settings(),
                clusterwide=not self._config.namespaces,
                namespaces=self._config.namespaces,
                liveness_endpoint=f"http://0.0.0.0:{self._config.probe_port}/healthz",
            )
        )
        leading = asyncio.create_task(self._lead())
        stop_requested = asyncio.create_task(stopping.wait())
        await asyncio.wait((watching, leading, stop_requested), return_when=asyncio.FIRST_COMPLETED)
        if not leading.done():
            leading.cancel()
        elif not watching.done():
            watching.cancel()
        # The leading task ends first: kopf waits for every other task of the loop before it ends.
        stop_requested.cancel()
        (led,) = await asyncio.gather(leading, return_exceptions=True)
        await self._lease.release()
        (watched,) = await asyncio.gather(watching, return_exceptions=True)
        for outcome in (led, watched):
            if isinstance(outcome, Exception):
                raise outcome

    async def _lead(self) -> None:
        """Acquire the Lease, list all objects, then run the tasks that write."""
        await self._lease.acquire()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._lease.keep(), name="lease")
            await self._resync()
            self._leading = True
            group.create_task(self._recorder.post(), name="events")
            group.create_task(self._resync_periodically(), name="resync")
            group.create_task(self._beat(), name="heartbeat")
            if self._config.progress_from_logs:
                interval = self._config.progress_seconds
                polling = self._progress.poll(self._cache.running_pods, self._queue.add, interval)
                group.create_task(polling, name="progress")
            for number in range(self._config.workers):
                group.create_task(self._reconciler.work(), name=f"reconciler-{number}")

    async def _resync_periodically(self) -> None:
        """Resync at intervals. One that fails (a restarting API server, an expired list) does not end the process."""
        pause = self._config.resync_seconds
        while True:
            await asyncio.sleep(pause)
            try:
                await self._resync()
                pause = self._config.resync_seconds
            except ApiError as error:
                pause = min(RESYNC_RETRY_SECONDS, self._config.resync_seconds)
                logger.warning("cannot list all objects: %s; retrying in %.0f s", error, pause)

    async def _resync(self) -> None:
        """List all objects and enqueue all videos. kopf does not report what was deleted while a watch was down."""
        began = time.monotonic()
        changed: set[str] = set()
        for namespace in self._config.namespaces or (None,):
            changed |= (await relist(self._api, self._cache.pods, PODS, Pod.of, namespace, CHILD_SELECTOR)).changed
            changed |= (await relist(self._api, self._cache.jobs, JOBS, Job.of, namespace, CHILD_SELECTOR)).changed
            changed |= (await relist(self._api, self._cache.videos, VIDEOS, VideoRecord.of, namespace)).changed
        for uid in {*changed, *(video.uid for video in self._cache.videos.all())}:
            self._queue.add(uid)
        logger.info("listed all objects in %.2f s; %d videos changed", time.monotonic() - began, len(changed))

    async def _beat(self) -> None:
        """Keep the heartbeat while there is nothing to do: a key of no video passes through the queue and a worker."""
        while True:
            self._queue.add("")
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _alive(self) -> bool:
        return not self._leading or time.monotonic() - self._reconciler.heartbeat < self._config.stale_seconds
