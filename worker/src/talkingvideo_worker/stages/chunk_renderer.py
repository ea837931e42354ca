"""Renders the windows of a plan's chunks until the store has all of them.

A pod that is killed loses only the window that it was rendering. Where another pod was first, rendering continues from
what that pod stored, so that two pods that render one chunk at the same time cannot disagree.
"""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_worker.engines.base import Window
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.media.scaling import FrameScaler
from talkingvideo_worker.progress import ProgressCallback
from talkingvideo_worker.stages.chunk_files import ChunkBounds
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.render_input import chunk_frames
from talkingvideo_worker.stages.segments import Segments, State


class ChunkRenderer:
    """Renders chunks of one plan with the context's engine, which has been loaded.

    Args:
        context: What the stage runs with.
        plan: The plan.
    """

    def __init__(self, context: StageContext, plan: Plan) -> None:
        self._context = context
        self._plan = plan
        self._engine = context.engine

    def segments(self, chunk: PlannedChunk) -> Segments:
        """The windows of a chunk in the store."""
        return Segments(self._context.chunks, chunk, self._context.scratch, ChunkBounds.of(self._plan))

    def render_missing(self, chunk: PlannedChunk, progress: ProgressCallback) -> None:
        """Render the windows of a chunk that the store lacks."""
        segments = self.segments(chunk)
        first, state = segments.resume_point(stateful=self._engine.stateful)
        while first < len(chunk.windows):
            self._render_from(chunk, first, state, progress)
            first, state = segments.resume_point(stateful=self._engine.stateful)

    def restore_initial_state(self, chunk: PlannedChunk, progress: ProgressCallback) -> list[str]:
        """Render again the ends of the previous chunks, as far as a chunk needs them and the store has lost them.

        Returns:
            Warnings for the user.
        """
        if not chunk.overlap or self.segments(chunk).resume_point(stateful=True)[0]:
            return []
        return [self._restore_final_state(previous, progress) for previous in self._without_final_state(chunk)]

    def _without_final_state(self, chunk: PlannedChunk) -> list[PlannedChunk]:
        """Previous chunks whose final state has to be restored before a chunk can start, first to last."""
        chunks: list[PlannedChunk] = []
        while chunk.overlap:
            chunk = self._previous(chunk)
            first, _ = self.segments(chunk).final_state()
            if first == len(chunk.windows):
                break
            chunks.insert(0, chunk)
            if first:
                break
        return chunks

    def _restore_final_state(self, chunk: PlannedChunk, progress: ProgressCallback) -> str:
        segments = self.segments(chunk)
        first, state = segments.final_state()
        count = len(chunk.windows) - first
        while first < len(chunk.windows):
            self._render_from(chunk, first, state, progress)
            first, state = segments.final_state()
        return (
            f"The store had lost the final state of chunk {chunk.index}: the last {count} of its windows were rendered "
            "again."
        )

    def _render_from(self, chunk: PlannedChunk, first: int, state: State | None, progress: ProgressCallback) -> None:
        """Render windows from an index on, until all exist or another pod turns out to have been first."""
        if first == 0:
            state = self._initial_state(chunk)
        windows = self._engine.render(chunk_frames(chunk), first, state, progress)
        if all(self._store_window(chunk, window, progress) for window in windows):
            self._expect_all(chunk)

    def _initial_state(self, chunk: PlannedChunk) -> State | None:
        """The state from which the first window continues: the previous chunk's final one, if the chunks are chained."""
        return self.segments(self._previous(chunk)).final_state()[1] if chunk.overlap else None

    def _previous(self, chunk: PlannedChunk) -> PlannedChunk:
        return self._plan.chunks[chunk.index - 1]

    def _store_window(self, chunk: PlannedChunk, window: Window, progress: ProgressCallback) -> bool:
        """Encode a window's frames as they come, and commit it; False when another pod had committed it before."""
        path = self._context.scratch / f"chunk-{chunk.index}-segment-{window.index}.mp4"
        self._encode(chunk, window, progress, path)
        if self._engine.stateful and window.state is None:
            message = f"The engine returned no state after window {window.index}."
            raise StageError(ErrorCode.GENERATION_RUNTIME, message)
        memory_mode = self._engine.stats().memory_mode
        committed = self.segments(chunk).commit(window.index, path, window.state, memory_mode)
        path.unlink()
        return committed

    def _encode(self, chunk: PlannedChunk, window: Window, progress: ProgressCallback, path: Path) -> None:
        plan, expected = self._plan, chunk.windows[window.index]
        delivered = (plan.delivered_width, plan.delivered_height)
        scale = FrameScaler((plan.width, plan.height), delivered, self._context.stage_input.effective.fit)
        frames_before = sum(chunk.windows[: window.index])
        with SegmentEncoder(path, *delivered) as encoder:
            for frame in window.frames:
                encoder.write(scale(frame))
                fraction = (frames_before + encoder.frames) / chunk.frames
                progress(fraction, f"Window {window.index + 1} of {len(chunk.windows)}")
            if encoder.frames != expected:
                message = (
                    f"The engine returned {encoder.frames} frames for window {window.index} instead of {expected}."
                )
                raise StageError(ErrorCode.GENERATION_RUNTIME, message)

    def _expect_all(self, chunk: PlannedChunk) -> None:
        count = self.segments(chunk).count()
        if count < len(chunk.windows):
            message = f"The engine stopped after {count} of {len(chunk.windows)} windows."
            raise StageError(ErrorCode.GENERATION_RUNTIME, message)
