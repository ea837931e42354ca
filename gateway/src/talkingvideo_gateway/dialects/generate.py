"""``/api/generate``: the service with a queue and a WebSocket that tells everybody about it (InfiniteTalk's ``api/``).

Its WebSocket told every visitor about everybody's videos; here each hears of its own.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, UploadFile, WebSocket, WebSocketDisconnect
from starlette.responses import Response

from talkingvideo_api.conditions import Phase
from talkingvideo_gateway.dialects import detail
from talkingvideo_gateway.dialects.values import truncated_prompt
from talkingvideo_gateway.errors import GatewayError, InvalidRequestError, NotFoundError, QueueFullError
from talkingvideo_gateway.http.bodies import part
from talkingvideo_gateway.http.dependencies import CallerOf, CallerRoute, ServiceOf, caller_of, is_still, service_of
from talkingvideo_gateway.http.dialect import Dialect
from talkingvideo_gateway.http.sending import send_file
from talkingvideo_gateway.identity.caller import Caller
from talkingvideo_gateway.videos.object import State, VideoObject
from talkingvideo_gateway.videos.request import InputKind, VideoRequest, upload_uri
from talkingvideo_gateway.videos.service import VideoService

NAME = "generate"
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp")
SOUNDS = (".wav", ".mp3", ".flac", ".aac", ".ogg", ".opus", ".m4a", ".mp4", ".webm")
"""What browsers record (webm, mp4) and telephones send (m4a) beside the service's own five."""

POLICY_VIOLATION, UNSUPPORTED_DATA = 1008, 1003
"""WebSocket's close codes for a connection that is refused, and for one that sends bytes (RFC 6455, section 7.4.1)."""

ASK_SECONDS = 15.0
"""How often an open WebSocket's token is looked at again."""

STATUSES = {
    State.QUEUED: "queued",
    State.RUNNING: "processing",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.TIMED_OUT: "failed",
    State.CANCELLED: "failed",
}
PROGRESS = {
    Phase.PREPARING: "Preparing input files...",
    Phase.RENDERING: "Starting video generation...",
    Phase.STITCHING: "Processing audio embedding...",
}
LOADING = "Loading models (T5, VAE, CLIP, DiT)..."

router = APIRouter(tags=["generate"], route_class=CallerRoute)


@router.post("/api/generate")
async def generate(
    image: UploadFile, audio: UploadFile, caller: CallerOf, service: ServiceOf, prompt: Annotated[str, Form()] = ""
) -> dict[str, Any]:
    """Queue a video of a picture and a recording."""
    _check_suffix(image, PICTURES, "image")
    _check_suffix(audio, SOUNDS, "audio")
    text, warnings = truncated_prompt(prompt)
    request = VideoRequest(
        dialect=NAME,
        spec={
            "source": {"image": {"uri": upload_uri("image")}},
            "speech": {"speakers": [{"audio": {"uri": upload_uri("audio")}}]},
            **({"prompt": text} if text else {}),
            "video": {"resolution": "480p"},
            "render": {"preset": "turbo"},
        },
        uploads={"image": part(image, InputKind.PICTURE, "image"), "audio": part(audio, InputKind.SOUND, "audio")},
        name=str(uuid.uuid4()),
        warnings=warnings,
    )
    return to_status(await service.submit(caller, request))


@router.get("/api/status/{request_id}")
async def status(request_id: str, caller: CallerOf, service: ServiceOf) -> dict[str, Any]:
    """How a request stands."""
    try:
        return to_status(await service.get(caller, request_id))
    except NotFoundError as error:
        raise NotFoundError("Request not found") from error


@router.get("/api/queue")
async def queue(caller: CallerOf, service: ServiceOf) -> dict[str, Any]:
    """The caller's requests that have not ended."""
    return to_queue(caller, await service.list(caller))


@router.head("/api/result/{request_id}", include_in_schema=False)
@router.get("/api/result/{request_id}")
async def result(request_id: str, request: Request, caller: CallerOf, service: ServiceOf) -> Response:
    """The video."""
    try:
        file = await service.open_result(caller, request_id)
    except NotFoundError as error:
        raise NotFoundError("Video not ready or request not found") from error
    return send_file(request, file, "video/mp4", f"infinitetalk_{request_id}.mp4")


@router.delete("/api/result/{request_id}")
async def delete(request_id: str, caller: CallerOf, service: ServiceOf) -> dict[str, str]:
    """Delete the video, and end the work on it."""
    try:
        await service.delete(caller, request_id)
    except NotFoundError as error:
        raise NotFoundError("Video not ready or request not found") from error
    return {"message": "Video and associated files deleted successfully"}


@router.websocket("/ws")
async def updates(socket: WebSocket) -> None:
    """Tell of each change of the caller's videos, and answer every text."""
    try:
        caller, service = await caller_of(socket), service_of(socket)
        await service.require_watch(caller)
    except GatewayError:
        await socket.close(POLICY_VIOLATION)
        return
    await socket.accept()
    tasks = {
        asyncio.create_task(work) for work in (_answer(socket), _tell(socket, caller, service), _ask(socket, caller))
    }
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    for task in tasks:
        with suppress(asyncio.CancelledError, WebSocketDisconnect):
            await task


async def _answer(socket: WebSocket) -> None:
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("text") is None:
            await socket.close(UNSUPPORTED_DATA)
            return
        await socket.send_json({"type": "pong", "data": message["text"]})


async def _ask(socket: WebSocket, caller: Caller) -> None:
    """Close the connection when nobody has its token any more."""
    while await is_still(caller, socket):
        await asyncio.sleep(ASK_SECONDS)
    await socket.close(POLICY_VIOLATION)


async def _tell(socket: WebSocket, caller: Caller, service: VideoService) -> None:
    changes = service.watch(caller)
    known = {video.name: video for video in await service.list(caller)}
    await socket.send_json({"type": "queue_update", "data": to_queue(caller, list(known.values()))})
    async for change in changes:
        before = known.pop(change.video.name, None)
        if not change.deleted:
            known[change.video.name] = change.video
            for message in to_messages(before, change.video):
                await socket.send_json(message)
        if change.deleted or before is None or before.state is not change.video.state:
            await socket.send_json({"type": "queue_update", "data": to_queue(caller, list(known.values()))})


def to_status(video: VideoObject) -> dict[str, Any]:
    """The status object; all of its keys are always there."""
    status = video.status
    end, queued = status.estimated_completion_time, video.state is State.QUEUED
    return {
        "request_id": video.name,
        "status": STATUSES[video.state],
        "message": to_message(video),
        "timestamp": video.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f"),
        "position_in_queue": status.queue_position if queued else None,
        "estimated_time": None if end is None else max(0, round((end - datetime.now(UTC)).total_seconds())),
        "result_url": f"/api/result/{video.name}" if video.state is State.SUCCEEDED else None,
        **({"warnings": list(video.warnings)} if video.warnings else {}),
    }


def to_message(video: VideoObject) -> str:
    """The message of a state, in the service's words."""
    match video.state:
        case State.QUEUED:
            return "Request added to queue"
        case State.RUNNING:
            return to_progress(video)
        case State.SUCCEEDED:
            return "Video generation completed!"
        case State.CANCELLED:
            return "Cancelled"
        case State.FAILED | State.TIMED_OUT:
            failure = video.status.failure
            return "Video generation failed" if failure is None else f"Error: {failure.message}"


def to_progress(video: VideoObject) -> str:
    """What is being done, in the service's words."""
    chunks, phase = video.status.chunks, video.status.phase
    nothing_yet = chunks is not None and not chunks.done and not any(chunk.progress for chunk in chunks.active)
    if phase is Phase.RENDERING and nothing_yet:
        return LOADING
    return "Video generation started" if phase is None else PROGRESS.get(phase, "Video generation started")


def to_queue(caller: Caller, videos: Sequence[VideoObject]) -> dict[str, Any]:
    """The queue object: those that wait, then those that are being made."""
    waiting = [video for video in videos if video.state is State.QUEUED]
    running = [video for video in videos if video.state is State.RUNNING]
    return {
        "queue_size": len(waiting),
        "processing_count": len(running),
        "max_queue_size": caller.limits.queue,
        "max_concurrent": caller.limits.at_once,
        "requests": [to_status(video) for video in (*waiting, *running)],
    }


def to_messages(before: VideoObject | None, video: VideoObject) -> list[dict[str, Any]]:
    """What the WebSocket tells of a change."""
    if before is None or before.state is not video.state:
        data = {"request_id": video.name, "status": STATUSES[video.state], "message": to_message(video)}
        if video.state is State.SUCCEEDED:
            data["result_url"] = f"/api/result/{video.name}"
        return [{"type": "status_update", "data": data}]
    if video.state is State.RUNNING and to_progress(before) != to_progress(video):
        return [{"type": "progress_update", "data": {"request_id": video.name, "message": to_progress(video)}}]
    return []


def error(failure: GatewayError) -> Response:
    """An error in the service's form."""
    if isinstance(failure, QueueFullError):
        failure = QueueFullError("Queue is full. Please try again later.", retry_after=failure.retry_after)
    return detail.error(failure)


def _check_suffix(file: UploadFile, supported: tuple[str, ...], what: str) -> None:
    if PurePosixPath(file.filename or "").suffix.lower() not in supported:
        raise InvalidRequestError(f"Invalid {what} file type. Supported: {list(supported)}")


DIALECT = Dialect(
    NAME, ("/api/generate", "/api/status", "/api/queue", "/api/result", "/ws"), router, error, detail.invalid
)
