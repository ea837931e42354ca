"""Effects: a decision is carried out. Each may be interrupted anywhere and carried out again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from talkingvideo_api.conditions import Reason
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.api import CONFIG_MAPS, JOBS, VIDEOS, Api, ApiError, Body, Resource
from talkingvideo_clients.kube.objects import Job, Video
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.builders.metadata import children_selector
from talkingvideo_operator.builders.stage_input import build_config_map, build_stage_input
from talkingvideo_operator.cache import Cache
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.planning.decision import (
    Create,
    Decision,
    Delete,
    DeleteChildren,
    DeleteJob,
    EnsureStageInput,
    Event,
)
from talkingvideo_operator.settings import OperatorConfig

logger = logging.getLogger(__name__)

CREATES_AT_ONCE = 8

Child = tuple[Resource, Body]
"""What is to be created, as which kind."""


class NameConflictError(Exception):
    """A child's name is taken by an object of somebody else."""


class Effects:
    """Carries out decisions, and keeps the cache ahead of the watches: what was just done is known at once."""

    def __init__(self, api: Api, cache: Cache, config: OperatorConfig, recorder: EventRecorder) -> None:
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
                case DeleteChildren(keep_revision):
                    selector = children_selector(video, keep_revision)
                    await self._api.delete_collection(CONFIG_MAPS, video.namespace, selector)
                    await self._api.delete_collection(JOBS, video.namespace, selector)
                    for job in self._cache.jobs_of(video):
                        if job.revision != keep_revision:
                            self._cache.mark_deleting(job)

    def children(self, video: Video, decision: Decision) -> list[Child]:
        """The manifests of what is to be created: the order first, then the Jobs."""
        effective, spec = decision.status.effective, video.spec
        if not decision.creates or effective is None or spec is None:
            return []
        context = BuildContext(video, spec, effective, self._config.profiles[effective.profile])
        return [_manifest(context, each) for each in decision.creates]

    @contextmanager
    def expecting(self, children: list[Child]) -> Iterator[None]:
        """Know the Jobs before the first call is made, until each is there or has failed.

        Otherwise another video would take the places that were granted to this one.
        """
        expected = [Job.of(manifest) for resource, manifest in children if resource is JOBS]
        for job in expected:
            self._cache.jobs.correct(job)
        try:
            yield
        finally:
            for job in expected:
                self._cache.jobs.remove(job)

    async def create(self, video: Video, children: list[Child]) -> None:
        """Create children: the order first, then the Jobs side by side.

        Raises:
            ApiError: One could not be created; the others were tried.
            NameConflictError: A name is taken.
        """
        for resource, manifest in children:
            if resource is CONFIG_MAPS:
                await self._ensure_stage_input(video, manifest)
        room = asyncio.Semaphore(CREATES_AT_ONCE)

        async def one(manifest: Body) -> None:
            async with room:
                self._cache.jobs.put(Job.of(await self._create_child(JOBS, video, manifest)))

        jobs = (one(manifest) for resource, manifest in children if resource is JOBS)
        for problem in await asyncio.gather(*jobs, return_exceptions=True):
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

    def record_events(self, video: Video, events: tuple[Event, ...]) -> None:
        """Post events, after what they tell of has happened."""
        self._recorder.record(video, events)

    def record_refusal(self, video: Video, error: ApiError | NameConflictError) -> None:
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

    async def _ensure_stage_input(self, video: Video, manifest: Body) -> None:
        """Create the order, unless it is there. Looking first costs no write, and no quota refuses it."""
        try:
            found = await self._api.get(CONFIG_MAPS, video.namespace, manifest["metadata"]["name"])
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            await self._create_child(CONFIG_MAPS, video, manifest)
        else:
            _demand_own(video, found)

    async def _create_child(self, resource: Resource, video: Video, manifest: Body) -> Body:
        """Create a child, or find the one that an earlier try created."""
        name = manifest["metadata"]["name"]
        try:
            return await self._api.create(resource, video.namespace, manifest)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        found = await self._api.get(resource, video.namespace, name)
        _demand_own(video, found)
        return found


def _demand_own(video: Video, found: Body) -> None:
    """Nothing of somebody else is taken over, whatever its name."""
    meta = found["metadata"]
    if video.uid not in {owner["uid"] for owner in meta.get("ownerReferences", ())}:
        raise NameConflictError(f"{found['kind']} {meta['name']} belongs to something else; rename or delete it")


def _manifest(context: BuildContext, create: Create) -> Child:
    if isinstance(create, EnsureStageInput):
        stage_input = build_stage_input(context.video, context.spec, context.effective, context.profile)
        return CONFIG_MAPS, build_config_map(context.video, stage_input)
    return JOBS, build_job(context, create)
