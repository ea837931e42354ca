"""Objects as answers."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from talkingvideo_api.model import Model
from talkingvideo_api.reports import decode_bitmap
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_gateway.dialects.videos import models
from talkingvideo_gateway.dialects.videos.ids import id_of
from talkingvideo_gateway.videos.object import State, VideoObject

PATH = "/v1/videos"

Status = Literal["queued", "in_progress", "completed", "failed"]

STATUSES: dict[State, Status] = {
    State.QUEUED: "queued",
    State.RUNNING: "in_progress",
    State.SUCCEEDED: "completed",
    State.FAILED: "failed",
    State.TIMED_OUT: "failed",
    State.CANCELLED: "failed",
}

ERROR_CODES = {State.TIMED_OUT: "timeout", State.CANCELLED: "cancelled"}
"""Ends that have a word of their own; others have the object's error code."""

UNKNOWN_MODEL = "talkingvideo"


def to_response(video: VideoObject) -> models.Video:
    """The video as it stands."""
    status = video.status
    return models.Video(
        id=id_of(video.name),
        created_at=_unix(video.created),
        completed_at=None if status.completion_time is None else _unix(status.completion_time),
        model=_model(video),
        status=STATUSES[video.state],
        progress=status.progress or 0,
        prompt=_text(video.spec.get("prompt")),
        seconds=f"{_seconds(status):g}",
        size=_size(video),
        remixed_from_video_id=_original(video),
        error=_error(video),
        file_name=f"{id_of(video.name)}.mp4",
        inference_time_s=None if status.timings is None else status.timings.total_seconds,
        talkingvideo=_details(video),
    )


def _details(video: VideoObject) -> models.Details:
    status = video.status
    queued = video.state is State.QUEUED
    ends = status.estimated_completion_time
    return models.Details(
        name=video.name,
        spec=_without_data(video.spec),
        phase=status.phase,
        queue_position=status.queue_position if queued else None,
        estimated_completion=None if ends is None else ends.isoformat(),
        stage=_stage(video),
        chunks=list(_chunks(status)),
        chunks_reused=0 if status.chunks is None else status.chunks.reused,
        rendered=_document(status.rendered),
        delivered=_document(status.delivered),
        estimate=_document(status.estimate),
        effective=_document(status.effective),
        timings=_document(status.timings),
        usage=_document(status.usage),
        failure=_document(status.failure),
        warnings=list(video.warnings),
        result=_result(video),
    )


def _model(video: VideoObject) -> str:
    effective = None if video.status.effective is None else video.status.effective.engine
    asked = _text(video.option("model")) or _text(video.spec.get("engine"))
    return asked or effective or UNKNOWN_MODEL


def _original(video: VideoObject) -> str | None:
    name = _text(video.option("remixed_from"))
    return None if name is None else id_of(name)


def _error(video: VideoObject) -> models.Failure | None:
    state, failure = video.state, video.status.failure
    if state is State.CANCELLED:
        return models.Failure(code=ERROR_CODES[state], message="The video was cancelled.")
    if failure is None or STATUSES[state] != "failed":
        return None
    return models.Failure(code=ERROR_CODES.get(state, failure.code), message=failure.message)


def _seconds(status: TalkingVideoStatus) -> float:
    if status.output is not None:
        return status.output.duration_seconds
    return 0 if status.chunks is None else sum(status.chunks.frames) / 25


def _size(video: VideoObject) -> str:
    delivered = video.status.delivered
    if delivered is not None:
        return f"{delivered.width}x{delivered.height}"
    asked = video.spec.get("video") or {}
    return f"{asked['width']}x{asked['height']}" if {"width", "height"} <= asked.keys() else ""


def _stage(video: VideoObject) -> str:
    """The rendering chunk's words where there is one, else the phase."""
    chunks = video.status.chunks
    if video.state is State.RUNNING and chunks is not None and chunks.active:
        return chunks.active[0].stage
    return "queued" if video.state is State.QUEUED else str(video.status.phase or "queued").lower()


def _chunks(status: TalkingVideoStatus) -> list[models.Chunk]:
    chunks = status.chunks
    if chunks is None:
        return []
    finished = set(decode_bitmap(chunks.finished, chunks.total))
    active = {chunk.index: chunk for chunk in chunks.active}
    return [
        models.Chunk(
            index=index,
            frames=frames,
            status="finished" if index in finished else "rendering" if index in active else "waiting",
            progress=100 if index in finished else active[index].progress if index in active else 0,
            stage=active[index].stage if index in active and index not in finished else None,
        )
        for index, frames in enumerate(chunks.frames)
    ]


def _result(video: VideoObject) -> models.Result | None:
    output = video.status.output
    if output is None or video.state is not State.SUCCEEDED:
        return None
    content = f"{PATH}/{id_of(video.name)}/content"
    return models.Result(
        content=content,
        thumbnail=f"{content}?variant=thumbnail",
        url=output.url,
        mime_type=output.mime_type,
        bytes=output.bytes,
        sha256=output.sha256,
        width=output.width,
        height=output.height,
        frame_count=output.frame_count,
        frame_rate=output.frame_rate,
        duration_seconds=output.duration_seconds,
    )


def _without_data(value: Any) -> Any:
    """A spec without what it has inline: answers are read each second."""
    if isinstance(value, Mapping):
        return {key: _without_data(item) for key, item in value.items() if not _is_data(item)}
    return [_without_data(item) for item in value] if isinstance(value, list) else value


def _is_data(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("data:")


def _document(part: Model | None) -> dict[str, Any] | None:
    return None if part is None else part.to_dict()


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _unix(moment: datetime) -> int:
    return int(moment.timestamp())
