"""stitch: the finished chunks and the sound become the result, in its place.

Every step can be repeated: joining is deterministic, the result's files are whole or absent, and a result of the plan's
content that is there already is taken over, with its report.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import StitchReport
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_worker.media.finished_video import verify, write_thumbnail
from talkingvideo_worker.media.join import JoinedVideo, join_segments
from talkingvideo_worker.stages.context import StageContext, lost
from talkingvideo_worker.stages.result import BESIDE_VIDEO, deliver, existing_result
from talkingvideo_worker.stages.segments import done_name, segment_name
from talkingvideo_worker.stages.workspace import SOUND_NAME, get_prepared


def stitch(context: StageContext) -> StitchReport:
    """Join, check and deliver, unless a result of the same content is there.

    Raises:
        StageError: E_WORKSPACE when a chunk is gone, E_FFMPEG when the file is not what it should be, E_UPLOAD,
            E_STORE_ACCESS or E_OUTPUT_EXISTS when it cannot be put in its place.
    """
    context.scratch.mkdir(parents=True, exist_ok=True)
    plan = context.require_plan()
    return existing_result(context, plan) or _make(context, plan)


def _make(context: StageContext, plan: Plan) -> StitchReport:
    video, picture = context.scratch / "result.mp4", context.scratch / "result.jpg"
    joined = _join(context, plan, video)
    context.reporter.report(Stage.STITCH, 0.8, "Checking the result")
    verify(video, plan.frames, plan.delivered_width, plan.delivered_height, plan.sound_seconds)
    write_thumbnail(video, picture)
    context.reporter.report(Stage.STITCH, 0.9, "Writing the result")
    (thumbnail_file,) = BESIDE_VIDEO
    return deliver(context, plan, joined, video, {thumbnail_file: picture})


def _join(context: StageContext, plan: Plan, video: Path) -> JoinedVideo:
    sound = context.scratch / SOUND_NAME
    get_prepared(context, plan, SOUND_NAME, sound)
    stage_input = context.stage_input
    metadata = {
        "title": stage_input.name,
        "generator": f"talkingvideo {version('talkingvideo-worker')}, engine {stage_input.effective.engine}",
        "object": f"{stage_input.namespace}/{stage_input.name}, revision {stage_input.revision}",
    }
    if stage_input.spec.consent_reference:
        metadata["consent"] = stage_input.spec.consent_reference
    return join_segments(_segments(context, plan), sound, video, metadata)


def _segments(context: StageContext, plan: Plan) -> Iterator[Path]:
    """Fetch the segments one by one; each is removed when the next is asked for."""
    total = sum(len(chunk.windows) for chunk in plan.chunks)
    done, path = 0, context.scratch / "segment.mp4"
    for chunk in plan.chunks:
        for window in range(len(chunk.windows)):
            try:
                context.chunks.get(segment_name(chunk.key, window), path)
            except MissingFileError as error:
                raise _incomplete(context, chunk, window) from error
            yield path
            path.unlink(missing_ok=True)
            done += 1
            context.reporter.report(Stage.STITCH, 0.8 * done / total, "Joining")


def _incomplete(context: StageContext, chunk: PlannedChunk, window: int) -> StageError:
    """A chunk lost a segment, to a lifecycle rule perhaps: it is no longer finished, and will be rendered again."""
    context.chunks.delete(done_name(chunk.key))
    return lost(f"Chunk {chunk.index} is not complete in the store: segment {window} is missing.")
