"""render: the frames of one chunk, window by window, each window a segment in the store as soon as it is made.

A pod that is killed loses the window it was at; the next one goes on from there. The first writer of a segment wins, and
the others go on from what it made, so that two pods that render one chunk at once cannot disagree. ``done.json`` comes
last.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_worker.engines.base import Engine, RenderInput, RenderStats, Window
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.media.scaling import FrameScaler
from talkingvideo_worker.progress import ProgressCallback, Reporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.render_input import chunk_frames, make_render_input
from talkingvideo_worker.stages.segments import Chain, Segments, State, memory_mode_of, rendering_of
from talkingvideo_worker.stages.workspace import ENGINE_FOLDER, get_prepared


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
    chunk, chain = plan.chunks[index], Chain(context, plan)
    segments = chain.segments(chunk)
    report = RenderReport(chunk=index, key=chunk.key, frames=chunk.frames)
    if (earlier := rendering_of(context.chunks, chunk.key)) is not None:
        found = {"resumed_windows": len(chunk.windows), "memory_mode": memory_mode_of(earlier)}
        return report.model_copy(update=found)
    context.scratch.mkdir(parents=True, exist_ok=True)
    engine, started = context.engine, time.monotonic()
    resumed, _ = segments.resume_point(stateful=engine.stateful)
    work, bar = _Work(context, plan, chain, engine), _Bar(context.reporter, index)
    if resumed < len(chunk.windows):
        _load(context, plan, sum(chunk.windows[resumed:]), bar)
    loaded = time.monotonic()
    mended = _mend_chain(work, chunk, bar.waiting)
    _render_missing(work, chunk, bar.rendering)
    report = _accounted(report, engine.stats(), resumed, loaded - started, time.monotonic() - loaded)
    modes = "; ".join(segments.modes()) or None
    report = report.model_copy(update={"memory_mode": modes, "warnings": (*mended, *report.warnings)})
    segments.finish(engine.name, report)
    return report


@dataclass(frozen=True)
class _Work:
    """What stays the same from window to window."""

    context: StageContext
    plan: Plan
    chain: Chain
    engine: Engine


class _Bar:
    """Progress of a chunk, which never goes back: an engine tells of its steps, the stage of the frames that came of them.

    Args:
        reporter: Whom to tell.
        chunk: Index of the chunk.
    """

    def __init__(self, reporter: Reporter, chunk: int) -> None:
        self._reporter = reporter
        self._chunk = chunk
        self._reached = 0.0

    def waiting(self, _fraction: float, message: str) -> None:
        """Something that the chunk needs is being loaded or made: nothing of the chunk itself is done by that."""
        self._reporter.report(Stage.RENDER, self._reached, message, self._chunk)

    def rendering(self, fraction: float, message: str) -> None:
        """A part of the chunk is done."""
        self._reached = max(self._reached, fraction)
        self._reporter.report(Stage.RENDER, self._reached, message, self._chunk)


def _accounted(
    report: RenderReport, stats: RenderStats, resumed: int, loading: float, rendering: float
) -> RenderReport:
    """The report of a rendered chunk."""
    return report.model_copy(
        update={
            "resumed_windows": resumed,
            "load_seconds": round(loading, 3),
            "render_seconds": round(rendering, 3),
            "peak_gpu_bytes": stats.peak_gpu_bytes,
            "gpus": stats.gpus,
            "gpu_seconds": round(stats.gpus * (loading + rendering), 3),
            "part_seconds": {part: round(seconds, 3) for part, seconds in stats.seconds.items()},
            "warnings": stats.warnings,
        }
    )


def _load(context: StageContext, plan: Plan, frames: int, bar: _Bar) -> None:
    bar.waiting(0, "Fetching the plan's files")
    folder = context.scratch / f"plan-{plan.digest}"
    missing = [name for name in plan.files_of(Stage.RENDER) if not (folder / name).exists()]
    for name in missing:
        get_prepared(context, plan, name, folder / name)
    render_input = make_render_input(plan, context.stage_input, folder)
    if missing:  # a later chunk of this process finds all of it, and gigabytes need no second look
        _expect_the_planned_weights(plan, render_input, context.engine)
    bar.waiting(0, "Loading the engine")
    context.engine.load(render_input, folder / ENGINE_FOLDER, frames, bar.waiting)


def _expect_the_planned_weights(plan: Plan, render_input: RenderInput, engine: Engine) -> None:
    """Refuse other weights than the chunks' keys stand for: what they make would be found again under these keys."""
    if plan.engine_digest != engine.digest(render_input.values):
        message = (
            "The engine's weights are not those that the video was planned with: somebody has replaced them. "
            "Make the object anew, and leave the weights as they are until it is finished."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def _mend_chain(work: _Work, chunk: PlannedChunk, note: ProgressCallback) -> list[str]:
    """Make again what the beginning of a chunk goes on from and is lost.

    Returns:
        What was done, for the user.
    """
    if not chunk.overlap or work.chain.segments(chunk).resume_point(stateful=True)[0]:
        return []
    return [_make_end_again(work, earlier, note) for earlier in work.chain.lost(chunk)]


def _make_end_again(work: _Work, chunk: PlannedChunk, note: ProgressCallback) -> str:
    segments = work.chain.segments(chunk)
    first, state = segments.end()
    count = len(chunk.windows) - first
    while first < len(chunk.windows):
        _go_on(work, chunk, first, state, note)
        first, state = segments.end()
    return f"The store had lost how chunk {chunk.index} ended: the last {count} of its windows were rendered again."


def _render_missing(work: _Work, chunk: PlannedChunk, note: ProgressCallback) -> None:
    """Make windows until all are there; where another pod was first, go on from what it made."""
    segments = work.chain.segments(chunk)
    first, state = segments.resume_point(stateful=work.engine.stateful)
    while first < len(chunk.windows):
        _go_on(work, chunk, first, state, note)
        first, state = segments.resume_point(stateful=work.engine.stateful)


def _go_on(work: _Work, chunk: PlannedChunk, first: int, state: State | None, note: ProgressCallback) -> None:
    """Make windows from one on, until all are there or another pod turns out to have been first."""
    if not first:
        state = work.chain.start(chunk)
    windows = work.engine.render(chunk_frames(chunk), first, state, note)
    if all(_render_window(work, chunk, window, note) for window in windows):
        _expect_all(chunk, work.chain.segments(chunk))


def _render_window(work: _Work, chunk: PlannedChunk, window: Window, note: ProgressCallback) -> bool:
    """Encode a window's frames as they come, and commit it; False when another pod had done so before."""
    context, plan = work.context, work.plan
    path = context.scratch / f"chunk-{chunk.index}-segment-{window.index}.mp4"
    before, count = sum(chunk.windows[: window.index]), len(chunk.windows)
    deliver = FrameScaler(
        (plan.width, plan.height), (plan.delivered_width, plan.delivered_height), context.stage_input.effective.fit
    )
    with SegmentEncoder(path, plan.delivered_width, plan.delivered_height) as encoder:
        for frame in window.frames:
            encoder.write(deliver(frame))
            fraction = (before + encoder.frames) / chunk.frames
            note(fraction, f"Window {window.index + 1} of {count}")
        if encoder.frames != chunk.windows[window.index]:
            message = f"Window {window.index} has {encoder.frames} frames instead of {chunk.windows[window.index]}."
            raise StageError(ErrorCode.GENERATION_RUNTIME, message)
    state = window.state
    if work.engine.stateful and state is None:
        raise StageError(ErrorCode.GENERATION_RUNTIME, f"Window {window.index} left no state for the next one.")
    first = work.chain.segments(chunk).commit(window.index, path, state, work.engine.stats().memory_mode)
    path.unlink()
    return first


def _expect_all(chunk: PlannedChunk, segments: Segments) -> None:
    made = segments.made()
    if made < len(chunk.windows):
        message = f"The engine made {made} of {len(chunk.windows)} windows and ended."
        raise StageError(ErrorCode.GENERATION_RUNTIME, message)
