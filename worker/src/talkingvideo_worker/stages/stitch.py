"""stitch: the finished chunks and the sound become the result, which is delivered.

Every step can be repeated: joining is deterministic, the result's files are complete or absent, and an existing result of
the plan's content is reported as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import SOUND_NAME, Plan, PlannedChunk, segment_name
from talkingvideo_api.reports import StitchReport
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_worker.media.finished_video import verify
from talkingvideo_worker.media.join import JoinedVideo, join_segments
from talkingvideo_worker.stages.chunk_files import ChunkBounds, done_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.result import deliver, existing_result
from talkingvideo_worker.stages.result_files import ARTIFACTS, VIDEO, FinishedVideo, ResultFile
from talkingvideo_worker.stages.workspace import get_prepared, lost_data, require_plan


def stitch(context: StageContext) -> StitchReport:
    """Join, check and deliver the video, unless a result of the same content exists.

    Raises:
        StageError: E_WORKSPACE when a chunk is missing, E_FFMPEG when the file is not as planned, E_UPLOAD,
            E_STORE_ACCESS or E_OUTPUT_EXISTS when it cannot be delivered.
    """
    context.scratch.mkdir(parents=True, exist_ok=True)
    plan = require_plan(context)
    return existing_result(context, plan) or _make_result(context, plan)


def _make_result(context: StageContext, plan: Plan) -> StitchReport:
    video = _temporary(context, VIDEO)
    joined = _join(context, plan, video)
    context.reporter.report(Stage.STITCH, 0.8, "Checking the result")
    verify(video, plan.frames, plan.delivered_width, plan.delivered_height, plan.sound_seconds)
    artifacts = _make_artifacts(FinishedVideo(context, plan, video))
    context.reporter.report(Stage.STITCH, 0.9, "Writing the result")
    return deliver(context, plan, joined, video, artifacts)


def _make_artifacts(video: FinishedVideo) -> dict[ResultFile, Path]:
    files: dict[ResultFile, Path] = {file: _temporary(video.context, file) for file in ARTIFACTS}
    for file in ARTIFACTS:
        file.write(video, files[file])
    return files


def _temporary(context: StageContext, file: ResultFile) -> Path:
    return context.scratch / f"result{file.suffix}"


def _join(context: StageContext, plan: Plan, video: Path) -> JoinedVideo:
    sound = context.scratch / SOUND_NAME
    get_prepared(context, plan, SOUND_NAME, sound)
    return join_segments(_segments(context, plan), sound, video, _metadata(context))


def _metadata(context: StageContext) -> dict[str, str]:
    stage_input = context.stage_input
    metadata = {
        "title": stage_input.name,
        "generator": f"talkingvideo {version('talkingvideo-worker')}, engine {stage_input.effective.engine}",
        "object": f"{stage_input.namespace}/{stage_input.name}, revision {stage_input.revision}",
    }
    if stage_input.spec.consent_reference:
        metadata["consent"] = stage_input.spec.consent_reference
    return metadata


def _segments(context: StageContext, plan: Plan) -> Iterator[Path]:
    """Fetch the segments one by one; each is removed when the next one is requested."""
    total, bounds = sum(len(chunk.windows) for chunk in plan.chunks), ChunkBounds.of(plan)
    done, path = 0, context.scratch / "segment.mp4"
    for chunk in plan.chunks:
        for window, frames in enumerate(chunk.windows):
            try:
                context.chunks.get(segment_name(chunk.key, window), path, bounds.segment(frames))
            except MissingFileError as error:
                raise _incomplete(context, chunk, window) from error
            yield path
            path.unlink(missing_ok=True)
            done += 1
            context.reporter.report(Stage.STITCH, 0.8 * done / total, "Joining")


def _incomplete(context: StageContext, chunk: PlannedChunk, window: int) -> StageError:
    """Mark a chunk as unfinished, so that it is rendered again: it lost a segment, perhaps to a lifecycle rule."""
    context.chunks.delete(done_name(chunk.key))
    return lost_data(f"Chunk {chunk.index} is incomplete in the store: segment {window} is missing.")
