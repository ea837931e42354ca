"""Server-sent events: each change of a video, as it is after the change.

An event's id is the object's resource version. Whoever connects gets the present state first, so that nothing is missed between two
connections but what has been changed again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event
from starlette.responses import Response, StreamingResponse

from talkingvideo_gateway.dialects.videos.answers import PATH, STATUSES, to_response
from talkingvideo_gateway.dialects.videos.ids import id_of, name_of
from talkingvideo_gateway.dialects.videos.models import DeletedVideo
from talkingvideo_gateway.dialects.videos.routes import VideoId
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, GatewayOf, is_still
from talkingvideo_gateway.videos.backend import VideoChange
from talkingvideo_gateway.videos.object import VideoObject

EVENTS_PATH = "/v1/events"
PING_SECONDS = 15.0
"""Below the time after which proxies close a silent connection."""

HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events: video.queued, video.in_progress, video.completed, video.failed, video.deleted.",
        "content": {"text/event-stream": {}},
    }
}
ENDED: dict[int | str, dict[str, Any]] = {204: {"description": "It has ended, and the client knows how."}}

router = APIRouter(tags=["events"], route_class=CallerRoute)

Known = Callable[[], Awaitable[bool]]
"""Whether whoever reads a stream still may."""

LastEventId = Annotated[str | None, Header(max_length=32, description="Id of the last event that was received.")]


@router.get(f"{PATH}/{{video_id}}/events", response_class=Response, responses=STREAM | ENDED)
async def of_video(
    video_id: VideoId, request: Request, caller: CallerOf, gateway: GatewayOf, last_event_id: LastEventId = None
) -> Response:
    """Changes of a video until it has ended."""
    await gateway.service.require_watch(caller)
    changes = gateway.service.watch(caller)
    video = await gateway.service.get(caller, name_of(video_id))
    if video.state.ended and last_event_id == str(video.resource_version):
        return Response(status_code=HTTPStatus.NO_CONTENT)
    return _stream(_until_ended(video, changes), gateway.closing, partial(is_still, caller, request))


@router.get(EVENTS_PATH, response_class=Response, responses=STREAM)
async def of_all(request: Request, caller: CallerOf, gateway: GatewayOf, last_event_id: LastEventId = None) -> Response:
    """Changes of all of the caller's videos: first those since the last event, or those that have not ended; then each."""
    await gateway.service.require_watch(caller)
    changes = gateway.service.watch(caller)
    seen = _version(last_event_id)
    videos = [
        video
        for video in await gateway.service.list(caller)
        if (not video.state.ended if seen is None else video.resource_version > seen)
    ]
    videos.sort(key=lambda video: video.resource_version)
    return _stream(_all(videos, changes), gateway.closing, partial(is_still, caller, request))


async def _until_ended(video: VideoObject, changes: AsyncIterator[VideoChange]) -> AsyncIterator[bytes]:
    yield _changed(video)
    if video.state.ended:
        return
    async for change in changes:
        newer = change.deleted or change.video.resource_version > video.resource_version
        if change.video.name != video.name or not newer:
            continue
        yield _event(change)
        if change.deleted or change.video.state.ended:
            return


async def _all(videos: list[VideoObject], changes: AsyncIterator[VideoChange]) -> AsyncIterator[bytes]:
    for video in videos:
        yield _changed(video)
    async for change in changes:
        yield _event(change)


def _event(change: VideoChange) -> bytes:
    if not change.deleted:
        return _changed(change.video)
    gone = DeletedVideo(id=id_of(change.video.name))
    return format_sse_event(
        event="video.deleted", data_str=gone.model_dump_json(), id=str(change.video.resource_version)
    )


def _changed(video: VideoObject) -> bytes:
    data = to_response(video).model_dump_json()
    return format_sse_event(event=f"video.{STATUSES[video.state]}", data_str=data, id=str(video.resource_version))


def _version(last_event_id: str | None) -> int | None:
    known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
    return int(last_event_id) if known and last_event_id is not None else None


def _stream(events: AsyncIterator[bytes], closing: asyncio.Event, is_known: Known) -> Response:
    pieces = while_known(with_pings(events, PING_SECONDS, closing), PING_SECONDS, is_known)
    return StreamingResponse(pieces, media_type="text/event-stream", headers=HEADERS)


async def while_known(pieces: AsyncGenerator[bytes, None], seconds: float, is_known: Known) -> AsyncIterator[bytes]:
    """The pieces as long as their reader is known, who is asked for again after so many seconds."""
    async with aclosing(pieces):
        asked = time.monotonic()
        async for piece in pieces:
            if time.monotonic() - asked >= seconds:
                if not await is_known():
                    return
                asked = time.monotonic()
            yield piece


async def with_pings(
    events: AsyncIterator[bytes], seconds: float, closing: asyncio.Event
) -> AsyncGenerator[bytes, None]:
    """The events until the process is told to end, and a comment whenever there was none for so long."""
    upcoming = asyncio.ensure_future(anext(events))
    end = asyncio.ensure_future(closing.wait())
    try:
        while not closing.is_set():
            await asyncio.wait({upcoming, end}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if not upcoming.done():
                yield KEEPALIVE_COMMENT
                continue
            try:
                event = upcoming.result()
            except StopAsyncIteration:
                return
            yield event
            upcoming = asyncio.ensure_future(anext(events))
    finally:
        upcoming.cancel()
        end.cancel()
