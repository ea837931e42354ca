"""Carries out decisions. Every effect may be interrupted anywhere and carried out again."""

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
from talkingvideo_clients.kube.records import VideoRecord
from talkingvideo_operator.builders.context import BuildContext
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.builders.metadata import children_selector
from talkingvideo_operator.builders.stage_input import build_config_map
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

CONCURRENT_CREATES = 8

Child = tuple[Resource, Body]
"""The resource and the manifest of an object to create."""


class NameConflictError(Exception):
    """An object that this video does not own has a child's name."""


class Effects:
    """Carries out decisions, and keeps the cache ahead of the watches: it shows every write at once."""

    def __init__(self, api: Api, cache: Cache, config: OperatorConfig, recorder: EventRecorder) -> None:
        self._api = api
        self._cache = cache
        self._config = config
        self._recorder = recorder

    async def read(self, video: Video) -> Video | None:
        """Read a video of which the cache keeps only an outline; None if it no longer exists."""
        try:
            body = await self._api.get(VIDEOS, video.namespace, video.name)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        if body["metadata"]["uid"] != video.uid:
            return None
        self._cache.videos.update(VideoRecord.of(body))
        return Video.of(body)

    async def delete(self, video: Video, deletes: tuple[Delete, ...]) -> None:
        """Delete children; one that no longer exists counts as deleted."""
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

    async def delete_orphans(self, uid: str) -> None:
        """Delete the Jobs that a video left behind when it was deleted without its children.

        They would render on without taking a slot, and nobody would read their reports.
        """
        for job in self._cache.orphans(uid):
            await self._delete_job(job)

    def children(self, video: Video, decision: Decision) -> list[Child]:
        """The manifests of what a decision creates: the stage input first, then the Jobs."""
        effective, spec = decision.status.effective, video.spec
        if not decision.creates or effective is None or spec is None:
            return []
        context = BuildContext(video, spec, effective, self._config.profiles[effective.profile])
        return [_manifest(context, each) for each in decision.creates]

    @contextmanager
    def expecting(self, children: list[Child]) -> Iterator[None]:
        """Show the Jobs in the cache before the first call, until each is created or has failed.

        Otherwise another video would take the slots that were granted to this one.
        """
        expected = [Job.of(manifest) for resource, manifest in children if resource is JOBS]
        for job in expected:
            self._cache.jobs.assume(job)
        try:
            yield
        finally:
            for job in expected:
                self._cache.jobs.delete(job)

    async def create(self, video: Video, children: list[Child]) -> None:
        """Create children: the stage input first, then the Jobs concurrently.

        Raises:
            ApiError: A child could not be created; the others were tried.
            NameConflictError: Another object has a child's name.
        """
        for resource, manifest in children:
            if resource is CONFIG_MAPS:
                await self._ensure_stage_input(video, manifest)
        slots = asyncio.Semaphore(CONCURRENT_CREATES)

        async def create_job(manifest: Body) -> None:
            async with slots:
                self._cache.jobs.update(Job.of(await self._create_child(JOBS, video, manifest)))

        jobs = (create_job(manifest) for resource, manifest in children if resource is JOBS)
        for outcome in await asyncio.gather(*jobs, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def write_status(self, video: Video, status: TalkingVideoStatus) -> None:
        """Write status in one call, which fails if the object has changed since it was read."""
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
        self._cache.videos.update(VideoRecord.of(written))

    def record_events(self, video: Video, events: tuple[Event, ...]) -> None:
        """Record events, after what they report has happened."""
        self._recorder.record(video, events)

    def record_refusal(self, video: Video, error: ApiError | NameConflictError) -> None:
        """Record that a child could not be created: because of a quota, a policy or its name."""
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
        """Create the stage input unless it exists. Reading first costs no write, and no quota refuses a read.

        Raises:
            NameConflictError: The name, which contains the digest, belongs to other content or to nobody of ours.
        """
        name = manifest["metadata"]["name"]
        try:
            found = await self._api.get(CONFIG_MAPS, video.namespace, name)
        except ApiError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            found = await self._create_child(CONFIG_MAPS, video, manifest)
        _require_owner(video, found)
        _require_content(manifest, found)

    async def _create_child(self, resource: Resource, video: Video, manifest: Body) -> Body:
        """Create a child, or return the one that an interrupted earlier try has created."""
        name = manifest["metadata"]["name"]
        try:
            return await self._api.create(resource, video.namespace, manifest)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        found = await self._api.get(resource, video.namespace, name)
        _require_owner(video, found)
        return found


def _require_owner(video: Video, found: Body) -> None:
    """An object that another owner controls is never taken over, whatever its name."""
    meta = found["metadata"]
    if video.uid not in {owner["uid"] for owner in meta.get("ownerReferences", ())}:
        raise NameConflictError(
            f"{found['kind']} {meta['name']} exists and does not belong to this video; rename or delete it"
        )


def _require_content(manifest: Body, found: Body) -> None:
    """A ConfigMap of other content is neither used nor overwritten. The stages check what they mount once more."""
    if (found.get("data"), found.get("immutable")) != (manifest["data"], True) or found.get("binaryData"):
        raise NameConflictError(
            f"ConfigMap {found['metadata']['name']} exists with content that the operator did not write; delete it"
        )


def _manifest(context: BuildContext, create: Create) -> Child:
    if isinstance(create, EnsureStageInput):
        return CONFIG_MAPS, build_config_map(context.video, context.stage_input)
    return JOBS, build_job(context, create)
