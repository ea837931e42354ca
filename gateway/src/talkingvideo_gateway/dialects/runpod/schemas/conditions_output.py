"""The output of InfiniteTalk_Runpod_Serverless: everything that is known of a video, and its errors with their codes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.spec import Resolution
from talkingvideo_gateway.dialects.runpod.schemas.schema import Failure, Result, reason
from talkingvideo_gateway.videos.object import State, VideoObject

SIZES = {Resolution.P480: "infinitetalk-480", Resolution.P720: "infinitetalk-720"}

CODES = {State.CANCELLED: "E_CANCELLED", State.TIMED_OUT: ErrorCode.TIMEOUT.value}
"""Codes of ends that are no failure of a stage."""

AT_STAGE = {Stage.PREPARE: "preprocessing", Stage.RENDER: "generation", Stage.STITCH: "postprocess_mux"}


def output(job: str, video: VideoObject, result: Result) -> dict[str, Any]:
    """Of a finished video."""
    made = video.status.output
    if made is None:
        return {"job_id": job, "status": "success", "video": None}
    summary: dict[str, Any] = {"url": result.url, "mime": made.mime_type, "bytes": made.bytes}
    film = {"type": "video", "url": result.url, "path": result.path, "mime": made.mime_type, "bytes": made.bytes}
    artifacts: list[dict[str, Any]] = [film if result.base64 is None else {**film, "base64": result.base64}]
    if result.thumbnail_url is not None:
        summary["thumbnail_url"] = result.thumbnail_url
        artifacts.append({"type": "thumbnail", "url": result.thumbnail_url, "path": None, "mime": "image/jpeg"})
    return {
        "job_id": job,
        "status": "success",
        "video": summary,
        "timings": timings(video),
        "params": params(video),
        "artifacts": artifacts,
        "warnings": list(video.warnings),
        "checkpoints": checkpoints(video),
        "logs": None,
    }


def failure(job: str, video: VideoObject) -> Failure:
    """Of a video that has ended without a result; ``error`` is the JSON text of the error."""
    failed = video.status.failure
    cause = {
        "code": CODES.get(video.state, failed.code.value if failed else ErrorCode.INTERNAL.value),
        "message": reason(video),
        "retryable": bool(failed and failed.retryable),
        "at_stage": AT_STAGE[failed.stage] if failed and failed.stage else None,
        "cause_class": None,
        "cause_message": None if failed is None or failed.field is None else failed.field,
    }
    document = {
        "job_id": job,
        "status": "error",
        "error": cause,
        "diagnostics": {"stderr_tail": None},
        "timings": timings(video),
        "checkpoints": checkpoints(video),
    }
    return Failure(json.dumps(cause), document)


def timings(video: VideoObject) -> dict[str, int]:
    """Wall time in milliseconds, as far as it is known."""
    known = video.status.timings
    if known is None:
        return {}
    seconds = {"generation_ms": known.rendering_seconds, "total_ms": known.total_seconds}
    return {name: round(value * 1_000) for name, value in seconds.items() if value is not None}


def params(video: VideoObject) -> dict[str, Any]:
    """The values that were used, not those that were asked for."""
    used = video.status.effective
    sampling = used and used.sampling
    return {
        "size": used and SIZES[used.resolution],
        "frame_num": used and used.window_frames,
        "sample_steps": sampling and sampling.steps,
        "motion_frame": used and used.motion_frames,
        "use_teacache": bool(sampling and sampling.tea_cache_threshold is not None),
        "use_apg": bool(sampling and sampling.apg_momentum is not None),
        "base_seed": used and used.seed,
    }


def checkpoints(video: VideoObject) -> list[dict[str, str]]:
    """When the stages began, in the worker's words."""
    status = video.status
    moments: tuple[tuple[str, datetime | None], ...] = (
        ("validated", status.start_time),
        ("preprocessing_done", status.prepared_time),
        ("generation_start", status.prepared_time),
        ("postprocess_mux", status.rendered_time),
        ("completed" if video.state is State.SUCCEEDED else "ended", status.completion_time),
    )
    return [{"event": event, "ts": moment.isoformat()} for event, moment in moments if moment is not None]
