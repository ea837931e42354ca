"""``/api/generate-video``: the service that answers when the video is done, with paths on a shared volume (localai).

Proxies and n8n give up on a connection that says nothing: after 45 s the headers are sent, and then a space every few seconds,
which JSON allows before the document. From then on the status is 200 whatever happens, and a failure is in the body.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from talkingvideo_gateway.dialects import detail
from talkingvideo_gateway.dialects.values import motion_frames, truncated_prompt
from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, GatewayOf, ServiceOf
from talkingvideo_gateway.http.dialect import Dialect
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.object import State, VideoObject
from talkingvideo_gateway.videos.request import VideoRequest, upload_uri
from talkingvideo_gateway.videos.service import VideoService

NAME = "generate-video"
SILENT_SECONDS = 45.0
"""How long the answer may wait for its status; proxies commonly give up after 60 s."""
SPACE_SECONDS = 10.0
OUTPUT = "/output"
NOT_IN_PATHS = re.compile(r"[^\w.,!()-]")
"""What has a meaning in addresses, and what is no character of a name at all."""
OWN_CHARACTERS = 8
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v"}
RESOLUTIONS = {"infinitetalk-480": ("480p", 7.0), "infinitetalk-720": ("720p", 11.0)}
"""Size class and shift."""

router = APIRouter(tags=["generate-video"], route_class=CallerRoute)


class GenerateVideo(BaseModel):
    """Body of ``POST /api/generate-video``; unknown fields are ignored."""

    audio_path: str
    image_path: str
    prompt: str = ""
    resolution: Literal["infinitetalk-480", "infinitetalk-720"] = "infinitetalk-480"
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 42
    diffusion_steps: Annotated[int, Field(ge=1, le=100)] = 40
    text_guide_scale: Annotated[float, Field(ge=0, le=20)] = 5.0
    audio_guide_scale: Annotated[float, Field(ge=0, le=20)] = 4.0
    motion_frame: Annotated[int, Field(ge=1)] = 9
    use_color_correction: bool = True


@router.post("/api/generate-video")
async def generate(
    body: GenerateVideo,
    caller: CallerOf,
    gateway: GatewayOf,
    idempotency_key: Annotated[str | None, Header(max_length=256)] = None,
) -> Response:
    """Make a video of two files on the shared volume, and answer when it is done."""
    request = to_request(body, Volumes(gateway.config.paths), idempotency_key)
    video = await gateway.service.submit(caller, request)
    video = await gateway.service.wait(caller, video.name, SILENT_SECONDS)
    if video.state.ended:
        status, answer = to_response(video)
        return JSONResponse(answer, status)
    headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache"}
    spaces = _spaces_until_done(gateway.service, caller, video.name)
    return StreamingResponse(spaces, media_type="application/json", headers=headers)


@router.get("/api/health")
async def health(service: ServiceOf, gateway: GatewayOf) -> dict[str, Any]:
    """How the service is doing; answered from what is known, also while it renders."""
    known = service.health()
    return {
        "status": "healthy" if known.ready else "unhealthy",
        "model_loaded": known.ready,
        "gpu_available": known.gpu,
        "version": gateway.version,
    }


@router.head(f"{OUTPUT}/{{file_name}}", include_in_schema=False)
@router.get(f"{OUTPUT}/{{file_name}}")
async def output(file_name: str, request: Request, caller: CallerOf, service: ServiceOf) -> Response:
    """The file that ``video_path`` names."""
    for video in reversed(await service.list(caller)):
        if video.state is State.SUCCEEDED and _file_name(video) == file_name:
            return send_file(request, await service.open_result(caller, video.name), "video/mp4", file_name)
    raise NotFoundError(f"There is no file {file_name}.")


def to_request(body: GenerateVideo, volumes: Volumes, idempotency_key: str | None) -> VideoRequest:
    """The request in the resource's words."""
    resolution, shift = RESOLUTIONS[body.resolution]
    motion, motion_warnings = motion_frames(body.motion_frame)
    prompt, prompt_warnings = truncated_prompt(body.prompt)
    files = {
        "image": _uri(volumes, body.image_path, "image_path", "Image"),
        "audio": _uri(volumes, body.audio_path, "audio_path", "Audio"),
    }
    is_video = PurePosixPath(body.image_path).suffix.lower() in VIDEO_SUFFIXES
    spec = {
        "source": {"video" if is_video else "image": {"uri": upload_uri("image")}},
        "speech": {"speakers": [{"audio": {"uri": upload_uri("audio")}}]},
        **({"prompt": prompt} if prompt else {}),
        "video": {"resolution": resolution},
        "render": {
            "preset": "quality",
            "steps": body.diffusion_steps,
            "textGuidance": body.text_guide_scale,
            "audioGuidance": body.audio_guide_scale,
            "shift": shift,
            "seed": body.seed,
            "motionFrames": motion,
            "colorCorrection": 1.0 if body.use_color_correction else 0.0,
        },
    }
    return VideoRequest(
        dialect=NAME,
        spec=spec,
        files=files,
        idempotency_key=idempotency_key,
        options={"bucket": body.resolution, "words": NOT_IN_PATHS.sub("_", body.prompt[:30])},
        warnings=(*motion_warnings, *prompt_warnings),
    )


def to_response(video: VideoObject) -> tuple[HTTPStatus, dict[str, Any]]:
    """Status and body of an answer about a video that has ended."""
    match video.state:
        case State.SUCCEEDED:
            return HTTPStatus.OK, _result(video)
        case State.CANCELLED:
            return HTTPStatus.CONFLICT, {"detail": "Video generation failed: it was cancelled"}
        case State.TIMED_OUT:
            return HTTPStatus.GATEWAY_TIMEOUT, {"detail": f"Video generation failed: {_failure(video)}"}
        case _:
            return HTTPStatus.INTERNAL_SERVER_ERROR, {"detail": f"Video generation failed: {_failure(video)}"}


def _result(video: VideoObject) -> dict[str, Any]:
    output, effective = video.status.output, video.status.effective
    assert output is not None
    sampling = None if effective is None else effective.sampling
    size = f"{output.width}x{output.height}"
    metadata = {
        "seed": None if effective is None else effective.seed,
        "diffusion_steps": None if sampling is None else sampling.steps,
        "text_guide_scale": None if sampling is None else sampling.text_guidance,
        "audio_guide_scale": None if sampling is None else sampling.audio_guidance,
        "resolution_bucket": video.option("bucket"),
        "actual_resolution": size,
        "motion_frame": None if effective is None else effective.motion_frames,
        "color_correction": None if sampling is None else sampling.color_correction > 0,
        "timestamp": _timestamp(video),
    }
    answer = {
        "video_path": f"{OUTPUT}/{_file_name(video)}",
        "duration_seconds": output.duration_seconds,
        "resolution": size,
        "frame_count": output.frame_count,
        "metadata": {key: str(value) for key, value in metadata.items() if value is not None},
    }
    return answer | ({"warnings": list(video.warnings)} if video.warnings else {})


def _file_name(video: VideoObject) -> str:
    """The service's name, and what tells two videos of one second with the same words apart."""
    own = video.name[-OWN_CHARACTERS:]
    return f"infinitetalk_{video.option('bucket')}_{video.option('words')}_{_timestamp(video)}_{own}.mp4"


def _timestamp(video: VideoObject) -> str:
    return video.created.strftime("%Y%m%d_%H%M%S")


def _failure(video: VideoObject) -> str:
    failure = video.status.failure
    return "it is not known why" if failure is None else failure.message


def _uri(volumes: Volumes, path: str, field: str, what: str) -> str:
    try:
        return volumes.uri(path, field)
    except NotFoundError as error:
        raise NotFoundError(f"{what} file not found: {error.message}") from error


async def _spaces_until_done(service: VideoService, caller: Caller, name: str) -> AsyncIterator[bytes]:
    try:
        while True:
            yield b" "
            video = await service.wait(caller, name, SPACE_SECONDS)
            if video.state.ended:
                break
        yield json.dumps(to_response(video)[1]).encode()
    except NotFoundError:
        yield json.dumps({"detail": "Video generation failed: it was deleted"}).encode()


DIALECT = Dialect(NAME, ("/api/generate-video", "/api/health", OUTPUT), router, detail.error, detail.invalid)
