"""Effects: a decision is carried out. Each may be interrupted anywhere and carried out again."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from talkingvideo_api.conditions import Reason
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.builders.metadata import children_selector
from talkingvideo_operator.builders.order import build_config_map, build_order
from talkingvideo_operator.builders.pod import Context
from talkingvideo_operator.kube.api import CONFIG_MAPS, JOBS, VIDEOS, Api, ApiError, Body, Resource
from talkingvideo_operator.kube.events import Recorder
from talkingvideo_operator.reconcile.cache import Cache
from talkingvideo_operator.reconcile.decision import (
    Decision,
    Delete,
    DeleteJob,
    DeleteRevisions,
    Event,
    PlaceOrder,
    Start,
)
from talkingvideo_operator.reconcile.objects import Job, Video
from talkingvideo_operator.settings import OperatorConfig

logger = logging.getLogger(__name__)

CREATES_AT_ONCE = 8


class NameConflictError(Exception):
    """A child's name is taken by an object of somebody else."""


class Effects:
    """Carries out decisions, and keeps the cache ahead of the watches: what was just done is known at once."""

    def __init__(self, api: Api, cache: Cache, config: OperatorConfig, recorder: Recorder) -> None:
        self._api = api
        self._cache = cache
        self._config = config
        self._recorder = recorder

    async def delete(self, video: Video, deletes: tuple[Delete, ...]) -> None:
        """Delete children; what is gone already is as good as deleted."""
        for each in deletes:
            match each:
                case DeleteJob(job):
                    await self._delete_job(job)
                case DeleteRevisions(but):
                    selector = children_selector(video, but)
                    await self._api.delete_collection(CONFIG_MAPS, video.namespace, selector)
                    await self._api.delete_collection(JOBS, video.namespace, selector)
                    for job in self._cache.jobs.of(video.uid):
                        if job.revision != but:
                            self._cache.mark_deleting(job)

    async def create(self, video: Video, decision: Decision) -> None:
        """Create children: the order first, then the Jobs side by side.

        Raises:
            ApiError: One could not be created; the others were tried.
            NameConflictError: A name is taken.
        """
        effective, spec = decision.status.effective, video.spec
        if not decision.creates or effective is None or spec is None:
            return
        context = Context(video, spec, effective, self._config.profiles[effective.profile])
        if any(isinstance(each, PlaceOrder) for each in decision.creates):
            order = build_order(video, spec, effective, context.profile)
            await self._create_child(CONFIG_MAPS, video, build_config_map(video, order))
        manifests = [build_job(context, each) for each in decision.creates if isinstance(each, Start)]
        # All are known before the first is sent: another video must not take the places that were granted to this one.
        expected = [Job.of(manifest) for manifest in manifests]
        for job in expected:
            self._cache.jobs.correct(job)
        room = asyncio.Semaphore(CREATES_AT_ONCE)

        async def one(job: Job, manifest: Body) -> None:
            async with room:
                await self._create_job(video, job, manifest)

        results = await asyncio.gather(*map(one, expected, manifests), return_exceptions=True)
        for problem in results:
            if isinstance(problem, BaseException):
                raise problem

    async def write_status(self, video: Video, status: TalkingVideoStatus) -> None:
        """Write status in one call. It fails when the object has changed since it was read."""
        body = {
            "apiVersion": VIDEOS.prefix.removeprefix("/apis/"),
            "kind": "TalkingVideo",
            "metadata": {
                "name": video.name,
                "namespace": video.namespace,
                "uid": video.uid,
                "resourceVersion": str(video.resource_version),
            },
            "status": status.to_dict(),
        }
        written = await self._api.replace_status(VIDEOS, video.namespace, video.name, body)
        self._cache.videos.put(Video.of(written))

    def tell(self, video: Video, events: tuple[Event, ...]) -> None:
        """Post events, after what they tell of has happened."""
        self._recorder.record(video, events)

    def tell_refusal(self, video: Video, error: ApiError | NameConflictError) -> None:
        """Say that a child could not be created: a quota, a policy, a name."""
        reason = Reason.NAME_CONFLICT if isinstance(error, NameConflictError) else Reason.CREATE_REFUSED
        self._recorder.record(video, (Event(reason, str(error), warning=True),))

    async def _delete_job(self, job: Job) -> None:
        try:
            if job.uid:
                await self._api.delete(JOBS, job.namespace, job.name, job.uid)
        except ApiError as error:
            if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
                raise
        self._cache.mark_deleting(job)

    async def _create_job(self, video: Video, expected: Job, manifest: Body) -> None:
        try:
            created = Job.of(await self._create_child(JOBS, video, manifest))
        except BaseException:
            self._cache.jobs.remove(expected)
            raise
        self._cache.jobs.remove(expected)
        self._cache.jobs.put(created)

    async def _create_child(self, resource: Resource, video: Video, manifest: Body) -> Body:
        """Create a child, or find the one that an earlier try created."""
        name = manifest["metadata"]["name"]
        try:
            return await self._api.create(resource, video.namespace, manifest)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        found = await self._api.get(resource, video.namespace, name)
        owners = {owner["uid"] for owner in found["metadata"].get("ownerReferences", ())}
        if video.uid not in owners:
            raise NameConflictError(f"{found['kind']} {name} belongs to something else; rename or delete it")
        return found
