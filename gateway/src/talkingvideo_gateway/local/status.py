"""The status of a video that this machine makes: a pure function of the lines that the run has printed.

It has the same form as in a cluster, so that answers are made by the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from talkingvideo_api.conditions import Phase
from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import (
    FailureReport,
    PrepareReport,
    Progress,
    ProgressLine,
    RenderReport,
    StitchReport,
    decode_bitmap,
    encode_bitmap,
)
from talkingvideo_api.run_lines import ReportLine, RunLine, Started, StartedLine
from talkingvideo_api.status import (
    ActiveChunk,
    Chunks,
    Dimensions,
    Failure,
    OutputStatus,
    TalkingVideoStatus,
    Timings,
    Usage,
)
from talkingvideo_api.texts import truncate

PREPARE_SHARE, RENDER_SHARE, STITCH_SHARE = 5, 90, 5
"""Percent of the whole that the stages count as."""

LONGEST_ESTIMATE = 10 * 365 * 86_400
"""Seconds above which no end is estimated: the machine slept, or its clock was set."""

MAX_WARNINGS = 64
MAX_WARNING = 320


def queued(position: int | None) -> TalkingVideoStatus:
    """Of a video that waits.

    Args:
        position: Its place in the queue, from 1; None where it is next.
    """
    return TalkingVideoStatus(phase=Phase.PENDING, progress=0, queue_position=position)


def after_line(status: TalkingVideoStatus, line: RunLine, now: datetime) -> TalkingVideoStatus:
    """The status after the run has printed a line.

    A line after which it could not be read again changes nothing: the video would be new once more, and be made for ever.
    """
    try:
        return TalkingVideoStatus.model_validate(_after(status, line, now).to_dict())
    except (ValueError, ArithmeticError, LookupError):
        return status


def _after(status: TalkingVideoStatus, line: RunLine, now: datetime) -> TalkingVideoStatus:
    match line:
        case StartedLine(started=started):
            return _started(started, now)
        case ProgressLine(progress=progress):
            return _progressed(status, progress, now)
        case ReportLine(report=report):
            return _reported(status, report, now)


def interrupted(status: TalkingVideoStatus, exit_status: int, now: datetime) -> TalkingVideoStatus:
    """Of a run that has ended without saying how: it was killed from outside, most often for its memory."""
    message = f"The run ended with status {exit_status} before it was finished. Retry it: finished chunks are kept."
    failure = Failure(code=ErrorCode.OOM, message=message, retryable=ERRORS[ErrorCode.OOM].retryable)
    return _ended(status, Phase.FAILED, now, failure=failure)


def planned(status: TalkingVideoStatus, now: datetime) -> TalkingVideoStatus:
    """Of a dry run that has ended well."""
    return _ended(status, Phase.SUCCEEDED, now)


def cancelled(status: TalkingVideoStatus, now: datetime) -> TalkingVideoStatus:
    """Of a video that was cancelled before it ended."""
    return _ended(status, Phase.CANCELLED, now)


def _started(started: Started, now: datetime) -> TalkingVideoStatus:
    return TalkingVideoStatus(
        phase=Phase.PREPARING,
        progress=0,
        revision=started.revision,
        effective=started.effective,
        start_time=now,
        warnings=_warnings(started.warnings),
    )


def _reported(
    status: TalkingVideoStatus, report: PrepareReport | RenderReport | StitchReport | FailureReport, now: datetime
) -> TalkingVideoStatus:
    match report:
        case PrepareReport():
            return _prepared(status, report, now)
        case RenderReport():
            return _rendered(status, report, now)
        case StitchReport():
            return _stitched(status, report, now)
        case FailureReport(code=code, message=message, field=field, retryable=retryable):
            failure = Failure(code=code, message=message, field=field, retryable=retryable)
            return _ended(status, Phase.FAILED, now, failure=failure)


def _prepared(status: TalkingVideoStatus, report: PrepareReport, now: datetime) -> TalkingVideoStatus:
    chunks = Chunks.of(report)
    missing = chunks.done < chunks.total
    return _with(
        status,
        phase=Phase.RENDERING if missing else Phase.STITCHING,
        progress=PREPARE_SHARE,
        plan_digest=report.plan_digest,
        chunks=chunks,
        rendered=Dimensions(width=report.width, height=report.height),
        delivered=Dimensions(width=report.delivered_width, height=report.delivered_height),
        prepared_time=now,
        rendered_time=None if missing else now,
        estimate=report.estimate,
        warnings=_warnings((*status.warnings, *report.warnings)),
    )


def _progressed(status: TalkingVideoStatus, progress: Progress, now: datetime) -> TalkingVideoStatus:
    fraction = min(1.0, max(0.0, progress.fraction))
    match progress.stage:
        case Stage.PREPARE:
            return _with(status, progress=int(PREPARE_SHARE * fraction))
        case Stage.STITCH:
            done = PREPARE_SHARE + RENDER_SHARE + int(STITCH_SHARE * fraction)
            return _with(status, phase=Phase.STITCHING, progress=min(99, done))
    chunks = status.chunks
    if chunks is None or progress.chunk is None or not 0 <= progress.chunk < chunks.total:
        return status
    active = ActiveChunk(
        index=progress.chunk, attempt=0, stage=truncate(progress.message, MAX_WARNING), progress=int(100 * fraction)
    )
    status = _with(status, chunks=chunks.model_copy(update={"active": (active,)}))
    return _with(status, progress=_percent(status), estimated_completion_time=_estimated_end(status, now))


def _rendered(status: TalkingVideoStatus, report: RenderReport, now: datetime) -> TalkingVideoStatus:
    if status.chunks is None:
        return status
    total = status.chunks.total
    finished = sorted({*decode_bitmap(status.chunks.finished, total), report.chunk})
    chunks = status.chunks.model_copy(
        update={
            "done": len(finished),
            "summary": f"{len(finished)}/{total}",
            "finished": encode_bitmap(finished, total),
            "active": (),
        }
    )
    all_done = len(finished) == total
    status = _with(
        status,
        chunks=chunks,
        phase=Phase.STITCHING if all_done else Phase.RENDERING,
        rendered_time=now if all_done else None,
        usage=Usage(gpu_seconds=(status.usage or Usage()).gpu_seconds + report.gpu_seconds),
        warnings=_warnings((*status.warnings, *report.warnings)),
    )
    return _with(status, progress=_percent(status))


def _stitched(status: TalkingVideoStatus, report: StitchReport, now: datetime) -> TalkingVideoStatus:
    return _ended(status, Phase.SUCCEEDED, now, output=OutputStatus.of(report))


def _ended(status: TalkingVideoStatus, phase: Phase, now: datetime, **changes: Any) -> TalkingVideoStatus:
    timings = Timings(
        preparing_seconds=_seconds(status.start_time, status.prepared_time),
        rendering_seconds=_seconds(status.prepared_time, status.rendered_time),
        stitching_seconds=_seconds(status.rendered_time, now) if phase is Phase.SUCCEEDED else None,
        total_seconds=_seconds(status.start_time, now),
    )
    progress = 100 if phase is Phase.SUCCEEDED else status.progress
    chunks = status.chunks and status.chunks.model_copy(update={"active": ()})
    return _with(
        status,
        phase=phase,
        progress=progress,
        chunks=chunks,
        completion_time=now,
        estimated_completion_time=None,
        queue_position=None,
        timings=timings,
        **changes,
    )


def _percent(status: TalkingVideoStatus) -> int:
    chunks = status.chunks
    if chunks is None:
        return status.progress or 0
    return min(99, int(PREPARE_SHARE + RENDER_SHARE * _rendered_frames(chunks) / sum(chunks.frames)))


def _rendered_frames(chunks: Chunks) -> float:
    finished = sum(chunks.frames[index] for index in decode_bitmap(chunks.finished, chunks.total))
    return finished + sum(chunks.frames[chunk.index] * chunk.progress / 100 for chunk in chunks.active)


def _estimated_end(status: TalkingVideoStatus, now: datetime) -> datetime | None:
    """At the rate since the plan was made; None before there is a rate."""
    chunks, since = status.chunks, status.prepared_time
    if chunks is None or since is None:
        return None
    rendered = _rendered_frames(chunks)
    here = rendered - sum(chunks.frames) * chunks.reused / chunks.total
    if here < 1 or now <= since:
        return None
    remaining = (sum(chunks.frames) - rendered) * (now - since).total_seconds() / here
    return None if remaining > LONGEST_ESTIMATE else (now + timedelta(seconds=remaining)).replace(microsecond=0)


def _seconds(since: datetime | None, until: datetime | None) -> float | None:
    return None if since is None or until is None else max(0.0, round((until - since).total_seconds(), 1))


def _warnings(warnings: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(truncate(warning, MAX_WARNING) for warning in dict.fromkeys(warnings))[:MAX_WARNINGS]


def _with(status: TalkingVideoStatus, **changes: Any) -> TalkingVideoStatus:
    return status.model_copy(update=changes)


StatusChange = Callable[[TalkingVideoStatus], TalkingVideoStatus]
"""From the newest status to the next one."""
