"""What is done with jobs: each is one video, or several that are asked for, watched and cancelled together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from starlette.requests import Request

from talkingvideo_gateway.dialects.runpod.job import Job, jobs_of
from talkingvideo_gateway.dialects.runpod.requests import ENDPOINT, INDEX, NAME
from talkingvideo_gateway.dialects.runpod.schemas.schema import DELIVERY, Delivery, Result
from talkingvideo_gateway.errors import ConflictError, GatewayError, NotFoundError
from talkingvideo_gateway.http.dependencies import Gateway
from talkingvideo_gateway.http.sending import file_mark
from talkingvideo_gateway.http.shared import result_url, thumbnail_url
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.identity.caller import MEGABYTE, Caller
from talkingvideo_gateway.videos.backend import MediaFile
from talkingvideo_gateway.videos.object import State, VideoObject
from talkingvideo_gateway.videos.request import VideoRequest
from talkingvideo_gateway.videos.service import VideoService

INLINE_BYTES = 20 * MEGABYTE
"""Largest video inside of an answer; RunPod itself answers with at most 20 MB."""

RETRIED = (State.FAILED, State.TIMED_OUT, State.CANCELLED)


class Jobs:
    """The jobs of a caller.

    Args:
        service: The videos.
        caller: The caller.
    """

    def __init__(self, service: VideoService, caller: Caller) -> None:
        self._service = service
        self._caller = caller

    async def submit(self, job: str, requests: Sequence[VideoRequest]) -> Job:
        """Ask for all videos of a job, or for none of them. Those that an earlier request has made stay."""
        repeatable = any(request.idempotency_key for request in requests)
        earlier = {video.name for video in await self._batch(job)} if repeatable else set()
        videos: list[VideoObject] = []
        try:
            for request in requests:
                videos.append(await self._service.submit(self._caller, request))
        except GatewayError:
            for name in {video.name for video in videos} - earlier:
                await self._service.delete(self._caller, name)
            raise
        return Job(job, tuple(videos))

    async def find(self, job: str) -> Job:
        """The job of an id.

        Raises:
            NotFoundError: The caller has none.
        """
        with contextlib.suppress(NotFoundError):
            return Job(job, (await self._service.get(self._caller, job),))
        if videos := await self._batch(job):
            return Job(job, tuple(videos))
        raise NotFoundError("There is no job of that id.")

    async def wait(self, job: str, seconds: float, until: Callable[[Job], bool]) -> Job:
        """The job as soon as something is true of it, or as it stands after that time."""
        changes = self._service.watch(self._caller)
        found = await self.find(job)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not until(found):
                    change = await anext(changes)
                    if job in (change.video.name, change.video.batch):
                        found = await self.find(job)
        return found

    async def cancel(self, job: str) -> Job:
        """End all videos of a job for good; those that have ended stay as they are."""
        found = await self.find(job)
        return Job(job, tuple([await self._service.cancel(self._caller, video.name) for video in found.videos]))

    async def retry(self, job: str) -> Job:
        """Start the videos of a job again that have ended without a result.

        Raises:
            ConflictError: There is none.
        """
        found = await self.find(job)
        if not found.state.ended or all(video.state not in RETRIED for video in found.videos):
            raise ConflictError(f"The job is {found.state.value.lower()}: only one that has failed can be retried.")
        for video in found.videos:
            if video.state in RETRIED:
                await self._service.retry(self._caller, video.name)
        return await self.find(job)

    async def of_endpoint(self, endpoint: str) -> list[Job]:
        """The jobs that were sent to an endpoint, the oldest first."""
        videos = await self._service.list(self._caller)
        return jobs_of(
            [
                video
                for video in videos
                if video.request is not None
                and video.request.dialect == NAME
                and video.option(ENDPOINT) == endpoint
                and not video.deleting
            ]
        )

    async def purge(self, endpoint: str) -> int:
        """Cancel the jobs of an endpoint that wait; how many there were."""
        waiting = [job for job in await self.of_endpoint(endpoint) if job.state is State.QUEUED]
        for job in waiting:
            for video in job.videos:
                await self._service.cancel(self._caller, video.name)
        return len(waiting)

    async def _batch(self, job: str) -> list[VideoObject]:
        videos = [video for video in await self._service.list(self._caller) if video.batch == job]
        return sorted(videos, key=_place)


def _place(video: VideoObject) -> int:
    """Place in its batch; objects may have been created within the same second."""
    place = video.option(INDEX)
    return place if isinstance(place, int) else 0


@dataclass(frozen=True)
class Results:
    """The results of a job.

    Attributes:
        by_name: By the names of its finished videos.
        files: Those that are sent inside of the answer, by the marks that stand for them.
    """

    by_name: dict[str, Result] = field(default_factory=dict)
    files: dict[str, MediaFile] = field(default_factory=dict)


async def results_of(request: Request, gateway: Gateway, caller: Caller, job: Job) -> Results:
    """The results of a job that has ended; none before."""
    results = Results()
    if job.state.ended:
        for video in job.videos:
            if video.state is State.SUCCEEDED and video.status.output is not None:
                results.by_name[video.name] = await _result(request, gateway, caller, video, results.files)
    return results


async def _result(
    request: Request, gateway: Gateway, caller: Caller, video: VideoObject, files: dict[str, MediaFile]
) -> Result:
    output = video.status.output
    assert output is not None
    thumbnail = await thumbnail_url(request, gateway, video)
    match video.option(DELIVERY):
        case Delivery.VOLUME if path := Volumes(gateway.config.paths).path(output.uri):
            return Result(path=path, thumbnail_url=thumbnail)
        case Delivery.INLINE if output.bytes <= INLINE_BYTES:
            mark = file_mark()
            with contextlib.suppress(NotFoundError):
                files[mark] = await gateway.service.open_result(caller, video.name)
                return Result(base64=mark, thumbnail_url=thumbnail)
    return Result(url=await result_url(request, gateway, video), thumbnail_url=thumbnail)
