"""OpenAI's routes, and those that go with one video."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from talkingvideo_gateway.dialects.videos import models
from talkingvideo_gateway.dialects.videos.answers import PATH, to_response
from talkingvideo_gateway.dialects.videos.body import BodyOf
from talkingvideo_gateway.dialects.videos.documentation import BYTES, CREATE, REMIX
from talkingvideo_gateway.dialects.videos.ids import id_of, name_of
from talkingvideo_gateway.dialects.videos.pages import Order, cursor_of, page
from talkingvideo_gateway.dialects.videos.translation import to_request
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, GatewayOf, ServiceOf
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.http.shared import result_url
from talkingvideo_gateway.videos.request import VideoRequest

POLL_AFTER_MS = "1000"
MAX_PAGE = 100

router = APIRouter(tags=["videos"], prefix=PATH, route_class=CallerRoute)

VideoId = Annotated[str, Path(max_length=253, description="Id of a video, or name of its object.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Requests with the same key make one video (draft-ietf-httpapi-idempotency-key-header-07).",
    ),
]


@router.post("", openapi_extra=CREATE)
async def create(
    body: BodyOf, caller: CallerOf, service: ServiceOf, idempotency_key: IdempotencyKey = None
) -> models.Video:
    """Make a video of a picture and a recording, or a text."""
    request = with_key(to_request(body), idempotency_key)
    return to_response(await service.submit(caller, request))


@router.get("")
async def videos(
    caller: CallerOf,
    service: ServiceOf,
    after: Annotated[str | None, Query(max_length=300)] = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    order: Order = "desc",
) -> models.VideoList:
    """The caller's videos, those of other dialects included."""
    found = page(await service.list(caller), after, limit, order)
    return models.VideoList(
        data=[to_response(video) for video in found.videos],
        first_id=id_of(found.videos[0].name) if found.videos else None,
        last_id=cursor_of(found.videos[-1]) if found.videos else None,
        has_more=found.has_more,
    )


@router.get("/{video_id}")
async def get(video_id: VideoId, caller: CallerOf, service: ServiceOf, response: Response) -> models.Video:
    """How a video stands."""
    video = await service.get(caller, name_of(video_id))
    if not video.state.ended:
        response.headers["openai-poll-after-ms"] = POLL_AFTER_MS
    return to_response(video)


@router.delete("/{video_id}")
async def delete(video_id: VideoId, caller: CallerOf, service: ServiceOf) -> models.DeletedVideo:
    """Delete a video with its result. What is being made is ended."""
    await service.delete(caller, name_of(video_id))
    return models.DeletedVideo(id=video_id)


@router.head("/{video_id}/content", include_in_schema=False, response_class=Response)
@router.get("/{video_id}/content", response_class=Response, responses=BYTES)
async def content(
    video_id: VideoId,
    request: Request,
    caller: CallerOf,
    service: ServiceOf,
    variant: Literal["video", "thumbnail", "spritesheet"] = "video",
) -> Response:
    """The finished video, or its thumbnail. Ranges are served."""
    name = name_of(video_id)
    match variant:
        case "video":
            file = await service.open_result(caller, name)
            return send_file(request, file, "video/mp4", f"{video_id}.mp4")
        case "thumbnail":
            file = await service.open_thumbnail(caller, name)
            return send_file(request, file, "image/jpeg", f"{video_id}.jpg")
        case "spritesheet":
            await service.get(caller, name)
            raise NotFoundError("Videos here have no sprite sheet: the thumbnail is a picture of it.", field="variant")


@router.post("/{video_id}/remix", openapi_extra=REMIX)
async def remix(
    video_id: VideoId, body: BodyOf, caller: CallerOf, service: ServiceOf, idempotency_key: IdempotencyKey = None
) -> models.Video:
    """Make another video like this one, with changes. Chunks that the changes do not concern are reused."""
    name = name_of(video_id)
    request = to_request(body, await service.spec(caller, name), name)
    return to_response(await service.submit(caller, with_key(request, idempotency_key)))


@router.post("/{video_id}/cancel")
async def cancel(video_id: VideoId, caller: CallerOf, service: ServiceOf) -> models.Video:
    """End a video for good. One that has ended stays as it is."""
    return to_response(await service.cancel(caller, name_of(video_id)))


@router.post("/{video_id}/retry")
async def retry(video_id: VideoId, caller: CallerOf, service: ServiceOf) -> models.Video:
    """Start a video again that has failed or was cancelled. Its finished chunks are kept."""
    return to_response(await service.retry(caller, name_of(video_id)))


@router.post("/{video_id}/link")
async def link(
    video_id: VideoId, request: Request, caller: CallerOf, gateway: GatewayOf, body: models.Link | None = None
) -> models.SharedLink:
    """Make an address at which anybody can download the result for a while."""
    seconds = (body or models.Link()).seconds
    video = await gateway.service.get(caller, name_of(video_id))
    if video.status.output is None:
        raise NotFoundError(f"The video is {video.state.value.lower()}: there is no file.")
    url = await result_url(request, gateway, video, seconds)
    return models.SharedLink(url=url, expires_at=int(time.time()) + seconds)


def with_key(request: VideoRequest, key: str | None) -> VideoRequest:
    """The request with its idempotency key."""
    return request if key is None else replace(request, idempotency_key=key)
