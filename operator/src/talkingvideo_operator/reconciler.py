"""Reconciles one video: reads the cache, decides, acts, writes status at most once, records events.

Thin on purpose: what to do is decided in `plan`, how it is done is in `effects`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus

from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.api import ApiError, LeaseNotHeldError
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects, NameConflictError
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.namespaces import NamespaceReader
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.decision import Decision
from talkingvideo_operator.planning.plan import end_refused, plan
from talkingvideo_operator.planning.refused_manifest import refused_manifest
from talkingvideo_operator.planning.status import is_significant, needs_content
from talkingvideo_operator.settings import OperatorConfig
from talkingvideo_operator.slots import Slots
from talkingvideo_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.5
MAX_RETRY_SECONDS = 60.0

REFUSALS = (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY)
"""How quotas, policies and webhooks refuse. The child is tried again, because they may change."""


class Reconciler:
    """Takes keys from the queue and reconciles their videos, one at a time.

    Attributes:
        heartbeat: When a worker was last active, on the monotonic clock; the liveness probe reads it.
    """

    def __init__(
        self,
        cache: Cache,
        queue: WorkQueue,
        effects: Effects,
        progress: ProgressReader,
        namespaces: NamespaceReader,
        config: OperatorConfig,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._effects = effects
        self._progress = progress
        self._namespaces = namespaces
        self._config = config
        self._retries: Counter[str] = Counter()
        self._slots = Slots(cache, config, self._retries.__contains__)
        self._last_write: dict[str, float] = {}
        self.heartbeat = time.monotonic()

    async def work(self) -> None:
        """Reconcile keys forever.

        Raises:
            LeaseNotHeldError: This process may no longer write.
        """
        while True:
            async with self._queue.get() as uid:
                self.heartbeat = time.monotonic()
                try:
                    await self.reconcile(uid)
                    self._forget_retries(uid)
                except LeaseNotHeldError:
                    raise
                except Exception as error:
                    self._requeue_after(error, uid)
            self.heartbeat = time.monotonic()
            # A reconcile with nothing to write awaits nothing: thousands in a row would keep the Lease from renewal.
            await asyncio.sleep(0)

    async def reconcile(self, uid: str) -> None:
        """Take one video one step further."""
        await self._effects.delete_orphans(uid)
        video = self._cache.video(uid)
        if video is None or video.deleting:
            self._last_write.pop(uid, None)
            return
        if needs_content(video):
            video = await self._effects.read(video)
        if video is None:
            return
        namespace = await self._namespaces.read(video.namespace)
        self._slots.set_namespace(video.namespace, namespace)
        self._slots.touch(uid)
        requested = self._slots.requested(uid)
        now = datetime.now(UTC).replace(microsecond=0)
        children = self._children(video)
        holds_slots = any(job.unfinished for job in children.jobs)
        decision = plan(video, children, self._config, now, self._slots.admission, namespace)
        refusal = await self._act(video, decision)
        if isinstance(refusal, ApiError) and refusal.is_about_the_object and video.spec is not None:
            failure = refused_manifest(refusal.message, (cause.field for cause in refusal.causes), video.spec)
            decision = end_refused(video, self._children(video), self._config, now, namespace, decision, failure)
            await self._effects.delete(video, decision.deletes)
            refusal = None
        await self._write_status(video, decision, refused=refusal is not None)
        if decision.requeue_at:
            self._queue.add_after(uid, (decision.requeue_at - datetime.now(UTC)).total_seconds())
        if (decision.deletes and holds_slots) or self._gave_up(uid, requested):
            self.enqueue_admitted()
        if refusal is not None:
            self._effects.record_refusal(video, refusal)
            raise refusal

    def enqueue_admitted(self) -> None:
        """Enqueue the videos that get a slot that has become free."""
        for uid in self._slots.admission().admitted():
            self._queue.add(uid)

    def _children(self, video: Video) -> Children:
        return Children(self._cache.jobs_of(video), self._cache.pods_of(video), self._progress.latest)

    def _gave_up(self, uid: str, requested: Stage | None) -> bool:
        """Whether a video no longer requests the slot that it may have been woken for: then it belongs to the next one."""
        return requested is not None and self._slots.requested(uid) is not requested

    def _forget_retries(self, uid: str) -> None:
        if self._retries.pop(uid, None) is not None:
            self._slots.touch(uid)

    async def _act(self, video: Video, decision: Decision) -> ApiError | NameConflictError | None:
        """Delete and create children; return the error that refuses a child, which does not keep status from a write."""
        children = self._effects.children(video, decision)
        with self._effects.expecting(children):
            await self._effects.delete(video, decision.deletes)
            try:
                await self._effects.create(video, children)
            except NameConflictError as conflict:
                return conflict
            except ApiError as error:
                if error.is_about_the_object or error.status in REFUSALS:
                    return error
                raise
        return None

    async def _write_status(self, video: Video, decision: Decision, *, refused: bool) -> None:
        """Write status if it has changed: at once for a significant change, at intervals for mere progress."""
        status = decision.status
        if status == video.status:
            return
        due = self._last_write.get(video.uid, -1e9) + self._config.progress_seconds - time.monotonic()
        if due > 0 and not is_significant(video.status, status):
            self._queue.add_after(video.uid, due)
            return
        await self._effects.write_status(video, status)
        self._last_write[video.uid] = time.monotonic()
        logger.info("%s/%s: %s", video.namespace, video.name, status.phase.value if status.phase else "")
        if not refused:
            self._effects.record_events(video, decision.events)

    def _requeue_after(self, error: Exception, uid: str) -> None:
        video = self._cache.video(uid)
        name = f"{video.namespace}/{video.name}" if video else uid
        self._retries[uid] += 1
        if self._retries[uid] == 1:
            self._slots.touch(uid)
            self.enqueue_admitted()
        delay = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (self._retries[uid] - 1))
        expected = isinstance(error, ApiError | NameConflictError)
        if isinstance(error, ApiError) and error.status == HTTPStatus.CONFLICT:
            logger.debug("%s has changed; retrying in %.1f s", name, delay)
        else:
            logger.warning("%s: %s; retrying in %.1f s", name, error, delay, exc_info=None if expected else error)
        self._queue.add_after(uid, delay)
