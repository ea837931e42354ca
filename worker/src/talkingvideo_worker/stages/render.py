"""render: the frames of one chunk, window by window, each window a segment in the store as soon as it is made.

A pod that is killed loses the window it was at; the next one goes on from there. The first writer of a segment wins, and
the others go on from what it made, so that two pods that render one chunk at once cannot disagree. ``done.json`` comes
last.
"""

from __future__ import annotations

import time

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_worker.delivery import Delivery
from talkingvideo_worker.engines.base import Engine, Window
from talkingvideo_worker.engines.registry import make_engine
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.scene import ENGINE_FOLDER, chunk_frames, files_to_render, scene_of
from talkingvideo_worker.stages.segments import Segments


def render(context: StageContext, index: int) -> RenderReport:
    """Render one chunk, or what is missing of it.

    Args:
        context: The stage's surroundings.
        index: The chunk's index in the plan.

    Raises:
        StageError: With the code of what went wrong.
    """
    plan = context.require_plan()
    if not 0 <= index < len(plan.chunks):
        raise StageError(ErrorCode.INTERNAL, f"The plan has no chunk {index}: it has {len(plan.chunks)}.")
    chunk = plan.chunks[index]
    segments = Segments(context.chunks, chunk, context.scratch)
    report = RenderReport(chunk=index, key=chunk.key, frames=chunk.frames)
    if segments.finished:
        return report.model_copy(update={"resumed_windows": len(chunk.windows)})
    context.scratch.mkdir(parents=True, exist_ok=True)
    found, started = segments.made(), time.monotonic()
    engine = make_engine(context.order.effective.engine)
    if found < len(chunk.windows):
        _load(context, plan, index, engine)
    loaded = time.monotonic()
    _render_missing(context, plan, chunk, segments, engine)
    segments.finish(engine.name)
    return report.model_copy(
        update={
            "resumed_windows": found,
            "load_seconds": round(loaded - started, 3),
            "render_seconds": round(time.monotonic() - loaded, 3),
        }
    )


def _load(context: StageContext, plan: Plan, index: int, engine: Engine) -> None:
    context.reporter.report(Stage.RENDER, 0, "Fetching the plan's files", index)
    folder = context.scratch / "inputs"
    for name in files_to_render(plan):
        if not (folder / name).exists():
            context.workspace.get(name, folder / name)
    context.reporter.report(Stage.RENDER, 0, "Loading the engine", index)
    engine.load(scene_of(plan, context.order, folder), folder / ENGINE_FOLDER)


def _render_missing(context: StageContext, plan: Plan, chunk: PlannedChunk, segments: Segments, engine: Engine) -> None:
    """Make windows until all are there; where another pod was first, go on from what it made."""
    first, state = segments.resume_point(stateful=engine.stateful)
    while first < len(chunk.windows):
        windows = engine.render(chunk_frames(chunk), first, state)
        if all(_render_window(context, plan, chunk, segments, window) for window in windows):
            _expect_all(chunk, segments)
        first, state = segments.resume_point(stateful=engine.stateful)


def _render_window(context: StageContext, plan: Plan, chunk: PlannedChunk, segments: Segments, window: Window) -> bool:
    """Encode a window's frames as they come, and commit it; False when another pod had done so before."""
    path = context.scratch / f"chunk-{chunk.index}-segment-{window.index}.mp4"
    before, count = sum(chunk.windows[: window.index]), len(chunk.windows)
    deliver = Delivery(
        (plan.width, plan.height), (plan.delivered_width, plan.delivered_height), context.order.effective.fit
    )
    with SegmentEncoder(path, plan.delivered_width, plan.delivered_height) as encoder:
        for frame in window.frames:
            encoder.write(deliver(frame))
            fraction = (before + encoder.frames) / chunk.frames
            context.reporter.report(Stage.RENDER, fraction, f"Window {window.index + 1} of {count}", chunk.index)
        if encoder.frames != chunk.windows[window.index]:
            message = f"Window {window.index} has {encoder.frames} frames instead of {chunk.windows[window.index]}."
            raise StageError(ErrorCode.GENERATION_RUNTIME, message)
    first = segments.commit(window.index, path, window.state)
    path.unlink()
    return first


def _expect_all(chunk: PlannedChunk, segments: Segments) -> None:
    made = segments.made()
    if made < len(chunk.windows):
        message = f"The engine made {made} of {len(chunk.windows)} windows and ended."
        raise StageError(ErrorCode.GENERATION_RUNTIME, message)
