"""From what prepare reports to the account of the chunks, as status keeps it."""

from __future__ import annotations

from datetime import datetime

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import PrepareReport, decode_bitmap, encode_bitmap
from talkingvideo_api.status import Attempts, Chunks, Dimensions, TalkingVideoStatus
from talkingvideo_operator.reconcile.brevity import with_modes, with_warnings
from talkingvideo_operator.reconcile.children import Children
from talkingvideo_operator.reconcile.records import entry_of
from talkingvideo_operator.reconcile.retry import Record


def with_plan(
    status: TalkingVideoStatus, report: PrepareReport, children: Children, now: datetime
) -> TalkingVideoStatus:
    """Begin the account of the chunks.

    Chunks of this very plan may have been started already: the operator was killed before it wrote the plan into status.
    Older Jobs, which rendered a chunk before it was lost, prove nothing.

    Args:
        status: Of the video.
        report: What prepare said.
        children: Of the revision.
        now: The present.
    """
    total = len(report.chunk_frames)
    missing = set(decode_bitmap(report.missing, total))
    finished = [index for index in range(total) if index not in missing]
    chunks = Chunks(
        total=total,
        done=len(finished),
        reused=len(finished),
        summary=f"{len(finished)}/{total}",
        frames=report.chunk_frames,
        finished=encode_bitmap(finished, total),
        failed=_rendered_in_vain(missing, children),
        chained=report.chained or None,
        memory_modes=with_modes(None, report.memory_modes or ()),
    )
    return status.model_copy(
        update={
            "plan_digest": report.plan_digest,
            "rendered": Dimensions(width=report.width, height=report.height),
            "delivered": Dimensions(width=report.delivered_width, height=report.delivered_height),
            "estimate": report.estimate,
            "chunks": chunks,
            "prepared_time": now,
            "warnings": with_warnings(status.warnings, report.warnings),
        }
    )


def _rendered_in_vain(missing: set[int], children: Children) -> tuple[Attempts, ...]:
    """Entries of missing chunks that have Jobs older than the last preparation: the next attempt is a new one."""
    prepared = max(job.created for job in children.of_stage(Stage.PREPARE)[None] if job.created)
    jobs = children.of_stage(Stage.RENDER)
    attempts: dict[int, int] = {}
    for index in sorted(missing):
        old = [job.attempt for job in jobs.get(index, ()) if job.created and job.created < prepared]
        if old:
            attempts[index] = max(old)
    return tuple(entry_of(index, Record(next_attempt=attempt + 1)) for index, attempt in attempts.items())
