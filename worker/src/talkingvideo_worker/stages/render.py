"""render: one chunk, window by window. Each window is in the store as soon as it is rendered, ``done.json`` comes last."""

from __future__ import annotations

import time
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_worker.engines.base import Engine, RenderInput, RenderStats
from talkingvideo_worker.progress import Reporter
from talkingvideo_worker.stages.chunk_files import memory_mode_of, read_render_report, write_done
from talkingvideo_worker.stages.chunk_renderer import ChunkRenderer
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.render_input import make_render_input
from talkingvideo_worker.stages.workspace import ENGINE_FOLDER, get_prepared, require_plan


def render(context: StageContext, index: int) -> RenderReport:
    """Render one chunk, or the windows of it that are missing.

    Args:
        context: What the stage runs with.
        index: Index of the chunk in the plan.

    Raises:
        StageError: With the code of the failure.
    """
    plan = require_plan(context)
    if not 0 <= index < len(plan.chunks):
        raise StageError(ErrorCode.INTERNAL, f"The plan has no chunk {index}: it has {len(plan.chunks)}.")
    chunk = plan.chunks[index]
    return _finished(context, chunk) or _render(context, plan, chunk)


def _finished(context: StageContext, chunk: PlannedChunk) -> RenderReport | None:
    """The report of a chunk that was rendered before, by another pod or for another video."""
    earlier = read_render_report(context.chunks, chunk.key)
    if earlier is None:
        return None
    return RenderReport(
        chunk=chunk.index,
        key=chunk.key,
        frames=chunk.frames,
        resumed_windows=len(chunk.windows),
        memory_mode=memory_mode_of(earlier),
    )


def _render(context: StageContext, plan: Plan, chunk: PlannedChunk) -> RenderReport:
    context.scratch.mkdir(parents=True, exist_ok=True)
    renderer, progress = ChunkRenderer(context, plan), _ChunkProgress(context.reporter, chunk.index)
    started = time.monotonic()
    resumed, _ = renderer.segments(chunk).resume_point(stateful=context.engine.stateful)
    if resumed < len(chunk.windows):
        _load(context, plan, sum(chunk.windows[resumed:]), progress)
    loaded = time.monotonic()
    warnings = renderer.restore_initial_state(chunk, progress.waiting)
    renderer.render_missing(chunk, progress.rendering)
    finished = time.monotonic()
    stats = context.engine.stats()
    report = RenderReport(
        chunk=chunk.index,
        key=chunk.key,
        frames=chunk.frames,
        resumed_windows=resumed,
        load_seconds=round(loaded - started, 3),
        render_seconds=round(finished - loaded, 3),
        memory_mode="; ".join(renderer.segments(chunk).memory_modes()) or None,
        peak_gpu_bytes=stats.peak_gpu_bytes,
        gpus=stats.gpus,
        gpu_seconds=round(stats.gpus * (finished - started), 3),
        part_seconds=_rounded(stats),
        warnings=(*warnings, *stats.warnings),
    )
    write_done(context.chunks, chunk, context.engine.name, report, context.scratch)
    return report


def _rounded(stats: RenderStats) -> dict[str, float]:
    return {part: round(seconds, 3) for part, seconds in stats.seconds.items()}


class _ChunkProgress:
    """Progress of a chunk, which never goes back: the engine reports its steps, the stage the frames that they yield.

    Args:
        reporter: Receives the progress.
        chunk: Index of the chunk.
    """

    def __init__(self, reporter: Reporter, chunk: int) -> None:
        self._reporter = reporter
        self._chunk = chunk
        self._fraction = 0.0

    def waiting(self, _fraction: float, message: str) -> None:
        """Report work that precedes the chunk, such as loading: it finishes no part of the chunk itself."""
        self._reporter.report(Stage.RENDER, self._fraction, message, self._chunk)

    def rendering(self, fraction: float, message: str) -> None:
        """Report the finished fraction of the chunk."""
        self._fraction = max(self._fraction, fraction)
        self._reporter.report(Stage.RENDER, self._fraction, message, self._chunk)


def _load(context: StageContext, plan: Plan, frames: int, progress: _ChunkProgress) -> None:
    """Load the engine to render about so many frames."""
    progress.waiting(0, "Fetching the plan's files")
    folder = context.scratch / f"plan-{plan.digest}"
    fetched = _fetch_files(context, plan, folder)
    render_input = make_render_input(plan, context.stage_input, folder)
    if fetched:  # later chunks of this process find all files, and gigabytes of weights need no second check
        _expect_planned_weights(plan, render_input, context.engine)
    progress.waiting(0, "Loading the engine")
    context.engine.load(render_input, folder / ENGINE_FOLDER, frames, progress.waiting)


def _fetch_files(context: StageContext, plan: Plan, folder: Path) -> list[str]:
    """Fetch the prepared files that a folder lacks; returns their names."""
    missing = [name for name in plan.files_of(Stage.RENDER) if not (folder / name).exists()]
    for name in missing:
        get_prepared(context, plan, name, folder / name)
    return missing


def _expect_planned_weights(plan: Plan, render_input: RenderInput, engine: Engine) -> None:
    """Refuse weights other than those in the chunks' keys: their chunks would be reused under wrong keys."""
    if plan.engine_digest != engine.digest(render_input.values):
        message = (
            "The engine's weights have been replaced since the video was planned. Recreate the object, and do not change "
            "the weights until it has finished."
        )
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
