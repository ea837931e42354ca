"""Progress of the whole and the estimated end, from frames."""

from __future__ import annotations

from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_bitmap
from talkingvideo_api.status import Chunks, TalkingVideoStatus
from talkingvideo_operator.planning.context import Children
from talkingvideo_operator.planning.observe import ObservedState

PREPARE_SHARE = 5.0
RENDER_SHARE = 90.0
STITCH_SHARE = 5.0
SMALLEST_CHANGE = timedelta(seconds=20)


def percent(status: TalkingVideoStatus, phase: Phase, observed: ObservedState, children: Children) -> int:
    """Percent of the whole, 0..100; it never says 100 before the end."""
    if phase is Phase.SUCCEEDED:
        return 100
    if status.chunks is None:
        return int(PREPARE_SHARE * _stage_fraction(Stage.PREPARE, observed, children))
    total = sum(status.chunks.frames) or 1
    rendered = RENDER_SHARE * _frames_made(status.chunks, observed, children) / total
    return min(99, int(PREPARE_SHARE + rendered + STITCH_SHARE * _stage_fraction(Stage.STITCH, observed, children)))


def estimated_end(
    status: TalkingVideoStatus, observed: ObservedState, children: Children, now: datetime
) -> datetime | None:
    """When rendering will be through, if it goes on as it did since the plan was made.

    The last estimate is kept while the new one differs little: a time that jitters tells nobody more, and costs a write.
    """
    chunks, since = status.chunks, status.prepared_time
    if chunks is None or since is None or status.rendered_time is not None:
        return None
    total = sum(chunks.frames)
    made = _frames_made(chunks, observed, children)
    made_here = made - total * chunks.reused / chunks.total
    elapsed = (now - since).total_seconds()
    if made_here < 1 or elapsed <= 0:
        return None
    remaining = timedelta(seconds=(total - made) * elapsed / made_here)
    estimate = (now + remaining).replace(microsecond=0)
    known = status.estimated_completion_time
    if known and known > now and abs(known - estimate) < max(SMALLEST_CHANGE, remaining / 10):
        return known
    return estimate


def chunk_percent(index: int, observed: ObservedState, children: Children) -> int:
    """Percent of one chunk, as its pod's log says."""
    job = observed.chunks[index].running
    said = children.progress.get(job.uid) if job else None
    return int(100 * min(1.0, max(0.0, said.fraction))) if said else 0


def _frames_made(chunks: Chunks, observed: ObservedState, children: Children) -> float:
    finished = sum(chunks.frames[index] for index in decode_bitmap(chunks.finished, chunks.total))
    partial = sum(chunks.frames[i] * chunk_percent(i, observed, children) / 100 for i in observed.chunks)
    return finished + partial


def _stage_fraction(stage: Stage, observed: ObservedState, children: Children) -> float:
    state = observed.prepare if stage is Stage.PREPARE else observed.stitch
    said = children.progress.get(state.running.uid) if state and state.running else None
    return min(1.0, max(0.0, said.fraction)) if said else 0.0
