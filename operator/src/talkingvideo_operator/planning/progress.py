"""Progress of the video and its estimated end, both from frames."""

from __future__ import annotations

from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_bitmap
from talkingvideo_api.status import Chunks, TalkingVideoStatus
from talkingvideo_operator.planning.attempts import AttemptState
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.observe import ObservedState

PREPARE_SHARE = 5.0
RENDER_SHARE = 90.0
STITCH_SHARE = 5.0
SMALLEST_CHANGE = timedelta(seconds=20)


def percent(status: TalkingVideoStatus, phase: Phase, observed: ObservedState, children: Children) -> int:
    """Percent of the video, 0..100; 100 only when it has succeeded."""
    if phase is Phase.SUCCEEDED:
        return 100
    if status.chunks is None:
        return int(PREPARE_SHARE * _stage_fraction(Stage.PREPARE, observed, children))
    total = sum(status.chunks.frames) or 1
    render = RENDER_SHARE * _rendered_frames(status.chunks, observed, children) / total
    return min(99, int(PREPARE_SHARE + render + STITCH_SHARE * _stage_fraction(Stage.STITCH, observed, children)))


def estimated_end(
    status: TalkingVideoStatus, observed: ObservedState, children: Children, now: datetime
) -> datetime | None:
    """When rendering will end, at the rate since the plan was made; None before a frame is rendered.

    The last estimate is kept while the new one differs little: a time that jitters says no more, and costs a write.
    """
    chunks, since = status.chunks, status.prepared_time
    if chunks is None or since is None or status.rendered_time is not None:
        return None
    total = sum(chunks.frames)
    rendered = _rendered_frames(chunks, observed, children)
    rendered_here = rendered - total * chunks.reused / chunks.total
    elapsed = (now - since).total_seconds()
    if rendered_here < 1 or elapsed <= 0:
        return None
    remaining = timedelta(seconds=(total - rendered) * elapsed / rendered_here)
    estimate = (now + remaining).replace(microsecond=0)
    known = status.estimated_completion_time
    if known and known > now and abs(known - estimate) < max(SMALLEST_CHANGE, remaining / 10):
        return known
    return estimate


def chunk_percent(index: int, observed: ObservedState, children: Children) -> int:
    """Percent of one chunk, from its pod's log."""
    return int(100 * _fraction(observed.chunks[index], children))


def _rendered_frames(chunks: Chunks, observed: ObservedState, children: Children) -> float:
    finished = sum(chunks.frames[index] for index in decode_bitmap(chunks.finished, chunks.total))
    partial = sum(chunks.frames[i] * chunk_percent(i, observed, children) / 100 for i in observed.chunks)
    return finished + partial


def _stage_fraction(stage: Stage, observed: ObservedState, children: Children) -> float:
    return _fraction(observed.prepare if stage is Stage.PREPARE else observed.stitch, children)


def _fraction(state: AttemptState | None, children: Children) -> float:
    """What the running attempt has logged, 0..1."""
    logged = children.progress.get(state.running.uid) if state and state.running else None
    return min(1.0, max(0.0, logged.fraction)) if logged else 0.0
