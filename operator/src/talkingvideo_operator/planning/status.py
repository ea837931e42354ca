"""Status: where a revision's begins, how a phase completes it, and which changes are worth a write."""

from __future__ import annotations

from datetime import datetime
from itertools import islice
from typing import Any

from talkingvideo_api.conditions import ENDED_PHASES, UNSUCCESSFUL_PHASES, Phase, Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.status import ActiveChunk, Failure, TalkingVideoStatus, Timings
from talkingvideo_clients.kube.objects import Job, Pod, Video
from talkingvideo_operator.planning.conditions import conditions
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.observe import ObservedState
from talkingvideo_operator.planning.progress import chunk_percent, estimated_end, percent

MAX_ACTIVE = 64
"""Status lists no more active chunks than these: it stays below 64 KiB."""

VOLATILE = ("progress", "estimatedCompletionTime", "queuePosition", "observedRetry", "timings")
"""Fields whose change alone waits for the next write of progress."""


def needs_content(video: Video) -> bool:
    """Whether the decision about a video depends on content that an outline lacks. What has ended is only cleaned up."""
    status = video.status
    ended = status.phase in ENDED_PHASES and status.revision == video.revision
    return not video.complete and not (ended and video.retry in (None, status.observed_retry))


def current_status(video: Video, now: datetime) -> TalkingVideoStatus:
    """The status to continue from: the written one of the same revision, or a new one."""
    known = video.status
    if known.revision is not None and known.revision == video.revision:
        return known.model_copy(update={"observed_generation": video.generation})
    return TalkingVideoStatus(
        observed_generation=video.generation,
        revision=video.revision,
        conditions=known.conditions,
        start_time=now,
        observed_retry=video.retry,
    )


def status_in_phase(
    observed: ObservedState,
    children: Children,
    phase: Phase,
    reason: Reason,
    message: str,
    *,
    queue_position: int | None,
    now: datetime,
) -> TalkingVideoStatus:
    """Complete the status for a phase: conditions, progress, times, active chunks."""
    status = observed.status
    ended = phase in ENDED_PHASES
    chunks = status.chunks
    if chunks is not None:
        chunks = chunks.model_copy(update={"active": () if ended else _active_chunks(observed, children)})
    status = status.model_copy(update={"chunks": chunks, "phase": phase, "queue_position": queue_position})
    if ended:
        status = status.model_copy(update={"completion_time": status.completion_time or now})
    progress = status.progress if phase in UNSUCCESSFUL_PHASES else percent(status, phase, observed, children)
    end = None if ended or phase is Phase.SUSPENDED else estimated_end(status, observed, children, now)
    return status.model_copy(
        update={
            "progress": progress,
            "estimated_completion_time": end,
            "timings": timings(status, children),
            "conditions": conditions(status.conditions, phase, reason, message, status.observed_generation, now),
        }
    )


def ended_status(video: Video) -> TalkingVideoStatus:
    """The status of a video that has ended: only the generation and the retry that were observed may change."""
    known = video.status
    observed = tuple(c.model_copy(update={"observed_generation": video.generation}) for c in known.conditions)
    retry = known.observed_retry if known.phase in UNSUCCESSFUL_PHASES else video.retry
    return known.model_copy(
        update={"observed_generation": video.generation, "conditions": observed, "observed_retry": retry}
    )


def invalid_spec_status(video: Video, failure: Failure, message: str, now: datetime) -> TalkingVideoStatus:
    """The status of an object whose spec is invalid."""
    known = video.status
    return TalkingVideoStatus(
        observed_generation=video.generation,
        phase=Phase.FAILED,
        conditions=conditions(known.conditions, Phase.FAILED, Reason.INVALID_SPEC, message, video.generation, now),
        completion_time=known.completion_time or now,
        failure=failure,
        observed_retry=known.observed_retry,
    )


def timings(status: TalkingVideoStatus, children: Children) -> Timings:
    """Seconds between the milestones reached so far."""
    known = status.timings or Timings()
    queued = known.queued_seconds
    if queued is None:
        queued = _seconds(status.start_time, _first_start(status, children))
    preparing = _seconds(status.start_time, status.prepared_time)
    return Timings(
        queued_seconds=queued,
        preparing_seconds=None if preparing is None else max(0.0, preparing - (queued or 0.0)),
        rendering_seconds=_seconds(status.prepared_time, status.rendered_time),
        stitching_seconds=_seconds(status.rendered_time, status.completion_time) if status.output else None,
        total_seconds=_seconds(status.start_time, status.completion_time),
    )


def _first_start(status: TalkingVideoStatus, children: Children) -> datetime | None:
    jobs = children.of_revision(status.revision).of_stage(Stage.PREPARE).get(None, [])
    return min((pod.started for job in jobs for pod in children.pods_of(job) if pod.started), default=None)


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max(0.0, round((until - since).total_seconds(), 1))


def _active_chunks(observed: ObservedState, children: Children) -> tuple[ActiveChunk, ...]:
    running = {index: state.running for index, state in observed.chunks.items() if state.running}
    return tuple(
        ActiveChunk(
            index=index,
            attempt=job.attempt,
            stage=_pod_stage(job, children.pods_of(job)),
            progress=chunk_percent(index, observed, children),
            job=job.name,
        )
        for index, job in islice(running.items(), MAX_ACTIVE)
    )


def _pod_stage(job: Job, pods: tuple[Pod, ...]) -> str:
    if job.suspended:
        return "Waiting"
    return "Running" if any(pod.phase == "Running" for pod in pods) else "Pending"


def is_significant(before: TalkingVideoStatus, after: TalkingVideoStatus) -> bool:
    """Whether a change is more than progress, which is written only at intervals."""
    return _significant_part(before.to_dict()) != _significant_part(after.to_dict())


def _significant_part(document: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in document.items() if key not in VOLATILE}
    kept["conditions"] = {c["type"]: (c["status"], c["observedGeneration"]) for c in document.get("conditions", ())}
    if "chunks" in kept:
        kept["chunks"] = {key: value for key, value in kept["chunks"].items() if key != "active"}
        kept["chunks"]["failed"] = [_without_back_off(entry) for entry in kept["chunks"]["failed"]]
    kept["stageAttempts"] = [_without_back_off(entry) for entry in document.get("stageAttempts", ())]
    return kept


def _without_back_off(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of attempts without its back-off: the end of a back-off is not significant."""
    return {key: value for key, value in entry.items() if key != "notBefore"}
