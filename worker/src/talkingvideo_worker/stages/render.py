"""render: the frames of one chunk, window by window, each window a segment in the store as soon as it is made.

A pod that is killed loses the window it was at; the next one goes on from there. The first writer of a segment wins, so
that two pods that render one chunk at once cannot disagree. ``done.json`` comes last.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_worker.delivery import Delivery
from talkingvideo_worker.engines.base import Engine, Window
from talkingvideo_worker.engines.registry import make_engine
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.stages.chunk_files import done_name, segment_name, state_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.scene import ENGINE_FOLDER, chunk_frames, files_to_render, scene_of
from talkingvideo_worker.stores.base import Store

State = Mapping[str, NDArray[Any]]


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
    chunk, chunks = plan.chunks[index], context.chunks
    report = RenderReport(chunk=index, key=chunk.key, frames=chunk.frames)
    if chunks.stat(done_name(chunk.key)) is not None:
        return report.model_copy(update={"resumed_windows": len(chunk.windows)})
    started = time.monotonic()
    engine = _load(context, plan, index)
    loaded = time.monotonic()
    first, state = _resume_point(chunks, chunk, context.scratch)
    for window in engine.render(chunk_frames(chunk), first, state):
        _render_window(context, plan, chunk, window)
    _finish(context, chunk, engine.name)
    return report.model_copy(
        update={
            "resumed_windows": first,
            "load_seconds": round(loaded - started, 3),
            "render_seconds": round(time.monotonic() - loaded, 3),
        }
    )


def _load(context: StageContext, plan: Plan, index: int) -> Engine:
    context.reporter.report(Stage.RENDER, 0, "Fetching the plan's files", index)
    folder = context.scratch / "inputs"
    for name in files_to_render(plan):
        if not (folder / name).exists():
            context.workspace.get(name, folder / name)
    engine = make_engine(context.order.effective.engine)
    context.reporter.report(Stage.RENDER, 0, "Loading the engine", index)
    engine.load(scene_of(plan, context.order, folder), folder / ENGINE_FOLDER)
    return engine


def _resume_point(chunks: Store, chunk: PlannedChunk, scratch: Path) -> tuple[int, State | None]:
    """The first window without a segment, and the state that the one before it left."""
    first = 0
    while first < len(chunk.windows) and chunks.stat(segment_name(chunk.key, first)) is not None:
        first += 1
    if first in (0, len(chunk.windows)) or chunks.stat(state_name(chunk.key, first - 1)) is None:
        return first, None
    path = scratch / "state.npz"
    chunks.get(state_name(chunk.key, first - 1), path)
    with np.load(path, allow_pickle=False) as arrays:
        return first, dict(arrays)


def _render_window(context: StageContext, plan: Plan, chunk: PlannedChunk, window: Window) -> None:
    """Encode a window's frames as they come, then keep its state and, last, its segment."""
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
    if window.state is not None:
        _keep_state(context, chunk, window)
    context.chunks.put_new(segment_name(chunk.key, window.index), path)
    path.unlink()


def _keep_state(context: StageContext, chunk: PlannedChunk, window: Window) -> None:
    path = context.scratch / "state.npz"
    with path.open("wb") as file:
        np.savez(file, allow_pickle=False, **dict(window.state or {}))
    context.chunks.put(state_name(chunk.key, window.index), path)
    path.unlink()


def _finish(context: StageContext, chunk: PlannedChunk, engine: str) -> None:
    path = context.scratch / "done.json"
    document = {"key": chunk.key, "frames": chunk.frames, "windows": chunk.windows, "engine": engine}
    path.write_text(json.dumps(document))
    context.chunks.put_new(done_name(chunk.key), path)
    path.unlink()
