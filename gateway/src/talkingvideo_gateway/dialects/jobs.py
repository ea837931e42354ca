"""``/jobs``: the Go service whose jobs are made with base64 and polled (infinitetalk-api)."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.dialects.values import allowed_size
from talkingvideo_gateway.errors import GatewayError, InvalidRequestError, NotFoundError
from talkingvideo_gateway.http.bodies import base64_upload
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, GatewayOf, ServiceOf
from talkingvideo_gateway.http.dialect import Dialect
from talkingvideo_gateway.http.sending import send_json_with_file
from talkingvideo_gateway.http.shared import result_url
from talkingvideo_gateway.videos.object import State, VideoObject
from talkingvideo_gateway.videos.request import InputKind, VideoRequest, upload_uri

NAME = "jobs"
DEFAULT_PROMPT = "high quality, realistic, speaking naturally"

STATUSES = {
    State.QUEUED: "IN_QUEUE",
    State.RUNNING: "RUNNING",
    State.SUCCEEDED: "COMPLETED",
    State.FAILED: "FAILED",
    State.TIMED_OUT: "TIMED_OUT",
    State.CANCELLED: "CANCELLED",
}

router = APIRouter(tags=["jobs"], route_class=CallerRoute)


class CreateJob(BaseModel):
    """Body of ``POST /jobs``; unknown fields are ignored."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"image_base64": "iVBORw0KGgo=", "audio_base64": "UklGRg==", "width": 384, "height": 576}]
        }
    )

    image_base64: Annotated[str, Field(min_length=1)]
    audio_base64: Annotated[str, Field(min_length=1)]
    width: Annotated[int, Field(ge=1, le=4_096)]
    height: Annotated[int, Field(ge=1, le=4_096)]
    push_to_s3: bool = False
    dry_run: bool = False
    prompt: str = ""
    provider: str = ""
    force_offload: bool | None = None


@router.get("/health")
async def health() -> dict[str, str]:
    """Whether the process answers."""
    return {"status": "ok"}


@router.post("/jobs", status_code=202)
async def create(body: CreateJob, caller: CallerOf, service: ServiceOf) -> dict[str, str]:
    """Make a video of a picture and a recording, both in base64."""
    video = await service.submit(caller, to_request(body))
    return {"id": video.name, "status": STATUSES[video.state]}


@router.get("/jobs/{job_id}")
async def get(job_id: str, request: Request, caller: CallerOf, gateway: GatewayOf) -> Response:
    """How a job stands, with its result."""
    video = await gateway.service.get(caller, job_id)
    answer = to_response(video)
    if video.status.output is None:
        return JSONResponse(answer)
    if video.option("push_to_s3"):
        return JSONResponse(answer | {"video_url": await result_url(request, gateway, video)})
    return send_json_with_file(answer, "video_base64", await gateway.service.open_result(caller, video.name))


@router.post("/jobs/{job_id}/video/delete", status_code=204)
async def delete(job_id: str, caller: CallerOf, service: ServiceOf) -> Response:
    """Delete a job with its video. One that does not exist is no error."""
    with suppress(NotFoundError):
        await service.delete(caller, job_id)
    return Response(status_code=204)


def to_request(body: CreateJob) -> VideoRequest:
    """The request in the resource's words."""
    width, height, warnings = allowed_size(body.width, body.height)
    spec = {
        "source": {"image": {"uri": upload_uri("image")}},
        "speech": {"speakers": [{"audio": {"uri": upload_uri("audio")}}]},
        "prompt": body.prompt or DEFAULT_PROMPT,
        "video": {"width": width, "height": height, "fit": "Pad"},
        "dryRun": body.dry_run,
    }
    uploads = {
        "image": base64_upload(body.image_base64, InputKind.PICTURE, "image_base64"),
        "audio": base64_upload(body.audio_base64, InputKind.SOUND, "audio_base64"),
    }
    return VideoRequest(
        dialect=NAME,
        spec=spec,
        uploads=uploads,
        name=f"job-{int(time.time())}-{secrets.token_hex(4)}",
        options={"push_to_s3": body.push_to_s3},
        warnings=warnings,
    )


def to_response(video: VideoObject) -> dict[str, Any]:
    """The answer without the video; fields without a value are left out."""
    answer: dict[str, Any] = {"id": video.name, "status": STATUSES[video.state], "progress": video.status.progress or 0}
    if video.status.failure is not None:
        answer["error"] = video.status.failure.message
    if video.warnings:
        answer["warnings"] = list(video.warnings)
    return answer


def error(failure: GatewayError) -> Response:
    """An error in the service's form."""
    codes = {InvalidRequestError: "VALIDATION_ERROR", NotFoundError: "JOB_NOT_FOUND"}
    text = "job not found" if isinstance(failure, NotFoundError) else str(failure)
    return JSONResponse({"error": text, "code": codes.get(type(failure), failure.code.upper())}, failure.status)


DIALECT = Dialect(NAME, ("/jobs", "/health"), router, error)
