"""Progress of the whole and the estimated end, from frames."""

from __future__ import annotations

from datetime import datetime, timedelta

from talkingvideo_api.conditions import Phase
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import decode_bitmap
from talkingvideo_api.status import Chunks, TalkingVideoStatus
from talkingvideo_operator.reconcile.accounting import Account
from talkingvideo_operator.reconcile.children import Children

PREPARE_SHARE = 5.0
RENDER_SHARE = 90.0
STITCH_SHARE = 5.0
SMALLEST_CHANGE = timedelta(seconds=20)


def percent(status: TalkingVideoStatus, phase: Phase, books: Account, children: Children) -> int:
    """Percent of the whole, 0..100; it never says 100 before the end."""
    if phase is Phase.SUCCEEDED:
        return 100
    if status.chunks is None:
        return int(PREPARE_SHARE * _stage_fraction(Stage.PREPARE, books, children))
    total = sum(status.chunks.frames) or 1
    rendered = RENDER_SHARE * _frames_made(status.chunks, books, children) / total
    return min(99, int(PREPARE_SHARE + rendered + STITCH_SHARE * _stage_fraction(Stage.STITCH, books, children)))


def estimated_end(status: TalkingVideoStatus, books: Account, children: Children, now: datetime) -> datetime | None:
    """When rendering will be through, if it goes on as it did since the plan was made.

    The last estimate is kept while the new one differs little: a time that jitters tells nobody more, and costs a write.
    """
    chunks, since = status.chunks, status.prepared_time
    if chunks is None or since is None or status.rendered_time is not None:
        return None
    total = sum(chunks.frames)
    made = _frames_made(chunks, books, children)
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


def chunk_percent(index: int, books: Account, children: Children) -> int:
    """Percent of one chunk, as its pod's log says."""
    job = books.chunks[index].running
    said = children.progress.get(job.uid) if job else None
    return int(100 * min(1.0, max(0.0, said.fraction))) if said else 0


def _frames_made(chunks: Chunks, books: Account, children: Children) -> float:
    finished = sum(chunks.frames[index] for index in decode_bitmap(chunks.finished, chunks.total))
    partial = sum(chunks.frames[i] * chunk_percent(i, books, children) / 100 for i in books.chunks)
    return finished + partial


def _stage_fraction(stage: Stage, books: Account, children: Children) -> float:
    trial = books.prepare if stage is Stage.PREPARE else books.stitch
    said = children.progress.get(trial.running.uid) if trial and trial.running else None
    return min(1.0, max(0.0, said.fraction)) if said else 0.0
