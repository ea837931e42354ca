"""Chained chunks: each goes on from the state that the last window of the one before it left in the store.

That state may be gone: a lifecycle rule took it, or somebody tidied up. Then the windows behind the last state that is
kept are made again, in earlier chunks too, before the chunk itself is begun.
"""

from __future__ import annotations

from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.segments import Segments, State


class Chain:
    """The chunks of a plan, one behind the other.

    Args:
        context: The stage's surroundings.
        plan: Of the video.
    """

    def __init__(self, context: StageContext, plan: Plan) -> None:
        self._context = context
        self._plan = plan

    def segments(self, chunk: PlannedChunk) -> Segments:
        """A chunk's windows in the store."""
        return Segments(self._context.chunks, chunk, self._context.scratch)

    def lost(self, chunk: PlannedChunk) -> list[PlannedChunk]:
        """Earlier chunks of which it is no longer known how they ended, in the order in which to make their ends again."""
        found: list[PlannedChunk] = []
        while chunk.lead:
            chunk = self._before(chunk)
            first, _ = self.segments(chunk).end()
            if first == len(chunk.windows):
                break
            found.insert(0, chunk)
            if first:
                break
        return found

    def start(self, chunk: PlannedChunk) -> State | None:
        """What a chunk's first window goes on from: what the chunk before left, or nothing."""
        return self.segments(self._before(chunk)).end()[1] if chunk.lead else None

    def _before(self, chunk: PlannedChunk) -> PlannedChunk:
        return self._plan.chunks[chunk.index - 1]
