"""One turn for one video: read the cache, decide, act, write status at most once, tell.

Thin on purpose: what to do is decided in `plan`, how it is done stands in `effects`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from datetime import UTC, datetime
from http import HTTPStatus

from talkingvideo_api.conditions import Phase
from talkingvideo_api.effective import DEFAULT_MAX_PARALLEL
from talkingvideo_api.names import Stage
from talkingvideo_clients.kube.api import ApiError, LeaseNotHeldError
from talkingvideo_clients.kube.objects import Video
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.effects import Effects, NameConflictError
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.planning.admission import Admission, QueueEntry, queue_entry
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.decision import Decision
from talkingvideo_operator.planning.plan import plan
from talkingvideo_operator.planning.status import is_significant
from talkingvideo_operator.settings import OperatorConfig
from talkingvideo_operator.workqueue import WorkQueue

logger = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 60.0


class Reconciler:
    """Brings videos on, one key at a time.

    Attributes:
        heartbeat: When a worker last showed life, on the monotonic clock; the liveness probe looks at it.
    """

    def __init__(
        self, cache: Cache, queue: WorkQueue, effects: Effects, progress: ProgressReader, config: OperatorConfig
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._effects = effects
        self._progress = progress
        self._config = config
        self._retries: Counter[str] = Counter()
        self._written: dict[str, float] = {}
        self.heartbeat = time.monotonic()

    async def work(self) -> None:
        """Take keys for ever.

        Raises:
            LeaseNotHeldError: This process may not act any more.
        """
        while True:
            async with self._queue.get() as uid:
                self.heartbeat = time.monotonic()
                try:
                    await self.reconcile(uid)
                    self._retries.pop(uid, None)
                except LeaseNotHeldError:
                    raise
                except Exception as error:
                    self._try_later(uid, error)
            self.heartbeat = time.monotonic()
            # A turn with nothing to write awaits nothing: thousands of them in a row would keep the Lease from renewal.
            await asyncio.sleep(0)

    async def reconcile(self, uid: str) -> None:
        """Bring one video a step on."""
        video = self._cache.video(uid)
        if video is None or video.deleting:
            self._written.pop(uid, None)
            return
        now = datetime.now(UTC).replace(microsecond=0)
        children = self._children(video)
        holds_places = any(job.stage is Stage.RENDER and job.unfinished for job in children.jobs)
        decision = plan(video, children, self._config, now, self._admission)
        refusal = await self._act(video, decision)
        await self._write(video, decision, refused=refusal is not None)
        if decision.requeue_at:
            self._queue.add_after(uid, (decision.requeue_at - datetime.now(UTC)).total_seconds())
        if decision.deletes and holds_places:
            self.enqueue_admitted()
        if refusal is not None:
            self._effects.record_refusal(video, refusal)
            raise refusal

    def enqueue_admitted(self) -> None:
        """A place to render has become free: the videos that get it are marked."""
        for uid in self._admission().admitted():
            self._queue.add(uid)

    async def _act(self, video: Video, decision: Decision) -> ApiError | NameConflictError | None:
        children = self._effects.children(video, decision)
        with self._effects.expecting(children):
            await self._effects.delete(video, decision.deletes)
            try:
                await self._effects.create(video, children)
            except NameConflictError as conflict:
                return conflict
            except ApiError as error:
                if error.status in (HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY):
                    return error
                raise
        return None

    async def _write(self, video: Video, decision: Decision, *, refused: bool) -> None:
        """Write status when it is worth it: at once when something happened, now and then for mere progress."""
        status = decision.status
        if status == video.status:
            return
        due = self._written.get(video.uid, -1e9) + self._config.progress_seconds - time.monotonic()
        if due > 0 and not is_significant(video.status, status):
            self._queue.add_after(video.uid, due)
            return
        await self._effects.write_status(video, status)
        self._written[video.uid] = time.monotonic()
        logger.info("%s/%s: %s", video.namespace, video.name, status.phase.value if status.phase else "")
        if not refused:
            self._effects.record_events(video, decision.events)

    def _children(self, video: Video) -> Children:
        return Children(self._cache.jobs_of(video), self._cache.pods_of(video), self._progress.known)

    def _admission(self) -> Admission:
        """The queue for GPUs, as the cache has it; empty when nothing bounds it."""
        bounded = any(profile.max_parallel_per_namespace for profile in self._config.profiles.values())
        if self._config.max_parallel is None and not bounded:
            return Admission()
        rendering = Counter(
            (job.namespace, job.owner)
            for job in self._cache.jobs.all()
            if job.stage is Stage.RENDER and job.unfinished and not job.queued
        )
        active: Counter[str] = Counter()
        for (namespace, _), jobs in rendering.items():
            active[namespace] += jobs
        entries = (
            self._queue_entry(video, rendering[video.namespace, video.uid]) for video in self._cache.videos.all()
        )
        return Admission(self._config.max_parallel, active, {entry.uid: entry for entry in entries if entry})

    def _queue_entry(self, video: Video, running: int) -> QueueEntry | None:
        """What a video would start, from its status; its own turn knows better.

        One that cannot start its Jobs (a quota forbids them) keeps no place from the others.
        """
        chunks, spec = video.status.chunks, video.spec
        profile = self._config.profiles.get(video.status.effective.profile) if video.status.effective else None
        if video.status.phase is not Phase.RENDERING or chunks is None or spec is None or profile is None:
            return None
        if spec.queue_name or video.deleting or video.uid in self._retries:
            return None
        limit = (spec.chunking.max_parallel if spec.chunking else None) or DEFAULT_MAX_PARALLEL
        now = datetime.now(UTC)
        waiting = sum(1 for entry in chunks.failed if entry.not_before and entry.not_before > now)
        wanted = max(0, min(chunks.total - chunks.done - waiting, limit) - running)
        return queue_entry(video, profile, wanted, video.status.start_time)

    def _try_later(self, uid: str, error: Exception) -> None:
        video = self._cache.video(uid)
        name = f"{video.namespace}/{video.name}" if video else uid
        self._retries[uid] += 1
        delay = min(LAST_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** (self._retries[uid] - 1))
        expected = isinstance(error, ApiError | NameConflictError)
        if isinstance(error, ApiError) and error.status == HTTPStatus.CONFLICT:
            logger.debug("%s has changed meanwhile; once more in %.1f s", name, delay)
        else:
            logger.warning("%s: %s; once more in %.1f s", name, error, delay, exc_info=None if expected else error)
        self._queue.add_after(uid, delay)
