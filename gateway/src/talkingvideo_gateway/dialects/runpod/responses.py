"""From a job to the bodies of answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from talkingvideo_api.conditions import Phase
from talkingvideo_gateway.dialects.runpod.job import Job
from talkingvideo_gateway.dialects.runpod.requests import INDEX, ITEM, SCHEMA
from talkingvideo_gateway.dialects.runpod.schemas import SCHEMAS, urls
from talkingvideo_gateway.dialects.runpod.schemas.schema import Result, Schema
from talkingvideo_gateway.videos.backend import Health
from talkingvideo_gateway.videos.object import State, VideoObject

STATUSES = {
    State.QUEUED: "IN_QUEUE",
    State.RUNNING: "IN_PROGRESS",
    State.SUCCEEDED: "COMPLETED",
    State.FAILED: "FAILED",
    State.TIMED_OUT: "TIMED_OUT",
    State.CANCELLED: "CANCELLED",
}

STAGES = {Phase.RENDERING: "generation_start", Phase.STITCHING: "postprocess_mux"}
"""What InfiniteTalk_Runpod_Serverless calls the stages; before them it has validated the request."""

Results = Mapping[str, Result]
"""The results of a job's finished videos by their names."""


def accepted(job: Job) -> dict[str, Any]:
    """The answer to ``/run``: id and status, and what was changed or ignored if anything was."""
    answer: dict[str, Any] = {"id": job.id, "status": STATUSES[job.state]}
    return answer | ({"warnings": list(job.warnings)} if job.warnings else {})


def brief(job: Job) -> dict[str, Any]:
    """A job without its output; fields that are not known yet are left out."""
    known = {"delayTime": job.delay_ms, "executionTime": job.execution_ms, "retries": job.retries or None}
    return {
        "id": job.id,
        "status": STATUSES[job.state],
        **{name: value for name, value in known.items() if value is not None},
    }


def status(job: Job, results: Results) -> dict[str, Any]:
    """The whole job."""
    answer = brief(job) | {"percent": job.percent, "statusText": job.text}
    if job.warnings:
        answer["warnings"] = list(job.warnings)
    match job.state:
        case State.QUEUED:
            return answer
        case State.RUNNING:
            return answer | {"output": progress(job)}
    if job.is_batch:
        return answer | _batch_end(job, results)
    (video,) = job.videos
    return answer | _end(job, video, results)


def progress(job: Job) -> dict[str, Any]:
    """How far a running job is, as InfiniteTalk_Runpod_Serverless reports it."""
    video = job.current
    chunks = video.status.chunks
    answer: dict[str, Any] = {
        "stage": STAGES.get(video.status.phase, "validated") if video.status.phase else "validated",
        "pct": job.percent,
        "job_id": job.id,
    }
    if job.is_batch:
        answer |= {"item_id": video.option(ITEM), "item_index": video.option(INDEX)}
    details: dict[str, Any] = {"message": job.text}
    if chunks is not None:
        details |= {"chunks_done": chunks.done, "chunks_total": chunks.total}
    return answer | {"details": details}


def stream(job: Job) -> dict[str, Any]:
    """The progress of a running job as the one piece of its stream.

    An ended job has none: Python's client asks again as long as there is one.
    """
    pieces = [{"output": progress(job)}] if job.state is State.RUNNING else []
    return {"status": STATUSES[job.state], "stream": pieces}


def health(jobs: Sequence[Job], backend: Health) -> dict[str, Any]:
    """Counts of an endpoint's jobs, and its workers: as many as there are jobs being made, or one that waits."""
    states = [job.state for job in jobs]
    running = states.count(State.RUNNING)
    idle = 1 if backend.ready and not running else 0
    return {
        "jobs": {
            "completed": states.count(State.SUCCEEDED),
            "failed": states.count(State.FAILED) + states.count(State.TIMED_OUT),
            "inProgress": running,
            "inQueue": states.count(State.QUEUED),
            "retried": sum(any(video.retry for video in job.videos) for job in jobs),
        },
        "workers": {
            "idle": idle,
            "initializing": 0,
            "ready": (running or 1) if backend.ready else 0,
            "running": running,
            "throttled": 0,
        },
    }


def schema_of(video: VideoObject) -> Schema:
    """The schema that a video was asked for in."""
    return SCHEMAS.get(str(video.option(SCHEMA)), urls.SCHEMA)


def _end(job: Job, video: VideoObject, results: Results) -> dict[str, Any]:
    """Output or error of a job of one video."""
    if video.state is State.SUCCEEDED:
        return {"output": schema_of(video).output(job.id, video, results.get(video.name, Result()))}
    if video.state is State.CANCELLED:
        return {}
    failure = schema_of(video).failure(job.id, video)
    return {"error": failure.error} | ({} if failure.output is None else {"output": failure.output})


def _batch_end(job: Job, results: Results) -> dict[str, Any]:
    """Output of a batch, and the first error where nothing but errors came of it."""
    items = [{"id": video.option(ITEM) or video.name, "result": _item(job, video, results)} for video in job.videos]
    complete = all(video.state is State.SUCCEEDED for video in job.videos)
    output = {"job_id": job.id, "status": "success" if complete else "partial", "items": items}
    if job.state in (State.SUCCEEDED, State.CANCELLED):
        return {"output": output}
    return {"output": output, "error": schema_of(job.videos[0]).failure(job.id, job.videos[0]).error}


def _item(job: Job, video: VideoObject, results: Results) -> Any:
    schema = schema_of(video)
    if video.state is State.SUCCEEDED:
        return schema.output(job.id, video, results.get(video.name, Result()))
    return schema.failure(job.id, video).output
