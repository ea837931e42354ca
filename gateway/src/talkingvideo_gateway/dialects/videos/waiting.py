"""Requests that wait for what they have asked for: a video in the answer itself, and a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from talkingvideo_api.errors import ERRORS, Responsibility
from talkingvideo_gateway.dialects.videos.answers import PATH, to_response
from talkingvideo_gateway.dialects.videos.body import BodyOf
from talkingvideo_gateway.dialects.videos.documentation import BYTES, CREATE
from talkingvideo_gateway.dialects.videos.ids import id_of
from talkingvideo_gateway.dialects.videos.models import Video
from talkingvideo_gateway.dialects.videos.routes import IdempotencyKey, with_key
from talkingvideo_gateway.dialects.videos.translation import to_request
from talkingvideo_gateway.errors import (
    ConflictError,
    GatewayError,
    InvalidRequestError,
    VideoFailedError,
    VideoTimedOutError,
)
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, ServiceOf
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.videos.object import State, VideoObject

PLAN_PATH = f"{PATH}:plan"
LOOK_SECONDS = 5.0
"""How often a request that waits looks whether its client is still there."""
LONGEST_WAIT = 30

router = APIRouter(tags=["videos"], route_class=CallerRoute)


@router.post(f"{PATH}/sync", response_class=Response, responses=BYTES, openapi_extra=CREATE)
async def sync(
    body: BodyOf, request: Request, caller: CallerOf, service: ServiceOf, idempotency_key: IdempotencyKey = None
) -> Response:
    """Make a video and answer with its file. Without its client it is made all the same, and stays in the list."""
    video = await service.submit(caller, with_key(to_request(body), idempotency_key))
    while not video.state.ended and not await request.is_disconnected():
        video = await service.wait(caller, video.name, LOOK_SECONDS)
    if video.state.ended and video.state is not State.SUCCEEDED:
        raise failure_of(video)
    file = await service.open_result(caller, video.name)
    response = send_file(request, file, "video/mp4", f"{id_of(video.name)}.mp4")
    response.headers["X-Video-Id"] = id_of(video.name)
    return response


@router.post(PLAN_PATH, openapi_extra=CREATE)
async def plan(
    body: BodyOf,
    caller: CallerOf,
    service: ServiceOf,
    wait: Annotated[float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the plan.")] = 10,
) -> Video:
    """Check the inputs, split the speech and estimate the work, without making a video.

    A plan that has ended in that time leaves nothing behind. Otherwise its id can be polled and deleted like a video's.
    """
    request = to_request(body)
    request = replace(request, spec={**request.spec, "dryRun": True})
    video = await service.submit(caller, request)
    video = await service.wait(caller, video.name, wait)
    if video.state.ended:
        await service.delete(caller, video.name)
    return to_response(video)


def failure_of(video: VideoObject) -> GatewayError:
    """Why a request gets no video: its own fault, or not."""
    failure = video.status.failure
    if failure is None:
        return ConflictError("The video was cancelled.")
    if ERRORS[failure.code].responsible is Responsibility.USER:
        return InvalidRequestError(failure.message, field=failure.field)
    kind = VideoTimedOutError if video.state is State.TIMED_OUT else VideoFailedError
    return kind(failure.message, field=failure.field)
