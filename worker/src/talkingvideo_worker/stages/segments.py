"""A chunk in the store: names of its files, its windows, and the chunks before it.

A segment is the commitment: its first writer has made the window. The state that a window leaves, and the memory mode in
which it was made, are written before, under names that hold the segment's digest; so a segment that is there has both,
and no pod continues one pod's pictures with another pod's state. ``done.json``, written last, says that every window is there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_clients.stores.base import MissingFileError, Store
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.stages.context import StageContext


def segment_name(key: str, window: int) -> str:
    """One window's frames, a closed-GOP mp4."""
    return f"{key}/segment-{window:04d}.mp4"


def state_name(key: str, window: int, segment_digest: str) -> str:
    """What the window after this one needs.

    Args:
        key: The chunk's.
        window: Its place in the chunk.
        segment_digest: sha256 of the window's segment: of several pods that render a chunk at once each has a state of
            its own, and only the one beside the segment that won may be gone on from.
    """
    return f"{key}/state-{window:04d}-{segment_digest[:16]}.npz"


def mode_name(key: str, window: int, segment_digest: str) -> str:
    """In which memory mode a window was made; see `state_name` for the digest."""
    return f"{key}/mode-{window:04d}-{segment_digest[:16]}.json"


def done_name(key: str) -> str:
    """Written last: the chunk is finished."""
    return f"{key}/done.json"


def rendering_of(store: Store, key: str) -> dict[str, Any] | None:
    """How a chunk was rendered, now or for an earlier video.

    Args:
        store: Of finished chunks.
        key: The chunk's.

    Returns:
        The render report's JSON, empty where an older release wrote none; None for a chunk that is not finished.
    """
    try:
        return dict(json.loads(store.read(done_name(key)))["rendering"])
    except MissingFileError:
        return None
    except (ValueError, LookupError, TypeError):
        return {}


def memory_mode_of(rendering: dict[str, Any]) -> str | None:
    """In which memory mode a chunk was rendered, if that is known."""
    mode = rendering.get("memoryMode")
    return mode if isinstance(mode, str) else None


State = Mapping[str, NDArray[Any]]


class Segments:
    """The segments of one chunk.

    Args:
        store: Of finished chunks.
        chunk: The chunk.
        scratch: For files on their way.
    """

    def __init__(self, store: Store, chunk: PlannedChunk, scratch: Path) -> None:
        self._store = store
        self._chunk = chunk
        self._scratch = scratch

    def made(self) -> int:
        """Windows from the first on that have a segment."""
        for window in range(len(self._chunk.windows)):
            if self._store.stat(self._segment(window)) is None:
                return window
        return len(self._chunk.windows)

    def resume_point(self, *, stateful: bool) -> tuple[int, State | None]:
        """Where to go on.

        Args:
            stateful: Whether the engine needs what the window before left. If that is lost, it has to be made again.

        Returns:
            The first window to make, and the state that the one before it left.
        """
        first = self.made()
        if not stateful or first == len(self._chunk.windows):
            return first, None
        return self._behind_the_last_state(first)

    def end(self) -> tuple[int, State | None]:
        """Where to go on so that the last window leaves its state, which a chunk behind this one goes on from.

        Returns:
            As `resume_point`; behind the last window, and its state, when there is nothing to do.
        """
        return self._behind_the_last_state(self.made())

    def modes(self) -> tuple[str, ...]:
        """The memory modes in which the windows were made, each once; none for engines that have no modes."""
        found = (self._mode(window) for window in range(len(self._chunk.windows)))
        return tuple(dict.fromkeys(mode for mode in found if mode is not None))

    def commit(self, window: int, segment: Path, state: State | None, mode: str | None = None) -> bool:
        """Keep a window that was made.

        Args:
            window: Its place in the chunk.
            segment: Its frames.
            state: What the next window needs, if anything.
            mode: The memory mode in which it was made, for engines that have some.

        Returns:
            False when somebody else had made it before: go on from the resume point.
        """
        name, digest = self._segment(window), file_digest(segment)
        if mode is not None:
            self._keep_mode(mode_name(self._chunk.key, window, digest), mode)
        if state is not None:
            self._keep_state(state_name(self._chunk.key, window, digest), state)
        if self._store.put_new(name, segment):
            return True
        if state is None or self._state(window) is not None:
            return False
        self._store.put(name, segment)  # its state was lost: nobody can go on from the one that is there
        return True

    def finish(self, engine: str, report: RenderReport) -> None:
        """Write ``done.json``: every window is there, and how it was rendered."""
        chunk, path = self._chunk, self._scratch / "done.json"
        document = {
            "key": chunk.key,
            "frames": chunk.frames,
            "windows": chunk.windows,
            "engine": engine,
            "rendering": report.to_dict(),
        }
        path.write_text(json.dumps(document))
        self._store.put_new(done_name(chunk.key), path)
        path.unlink()

    def _behind_the_last_state(self, made: int) -> tuple[int, State | None]:
        for window in range(made - 1, -1, -1):
            if (state := self._state(window)) is not None:
                return window + 1, state
        return 0, None

    def _segment(self, window: int) -> str:
        return segment_name(self._chunk.key, window)

    def _state(self, window: int) -> State | None:
        """The state beside the segment that is in the store."""
        path = self._scratch / "state.npz"
        try:
            self._store.get(state_name(self._chunk.key, window, self._digest(window)), path)
        except MissingFileError:
            return None
        with np.load(path, allow_pickle=False) as arrays:
            state = dict(arrays)
        path.unlink()
        return state

    def _mode(self, window: int) -> str | None:
        """The mode beside the segment that is in the store."""
        try:
            mode = json.loads(self._store.read(mode_name(self._chunk.key, window, self._digest(window))))["memoryMode"]
        except MissingFileError:
            return None
        return str(mode)

    def _digest(self, window: int) -> str:
        """Digest of a segment in the store, which some S3 services do not keep."""
        stored = self._store.stat(self._segment(window))
        if stored is not None and stored.sha256 is not None:
            return stored.sha256
        path = self._scratch / "segment-of-another.mp4"
        self._store.get(self._segment(window), path)
        digest = file_digest(path)
        path.unlink()
        return digest

    def _keep_mode(self, name: str, mode: str) -> None:
        path = self._scratch / "mode.json"
        path.write_text(json.dumps({"memoryMode": mode}))
        self._store.put_new(name, path)
        path.unlink()

    def _keep_state(self, name: str, state: State) -> None:
        path = self._scratch / "state.npz"
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
        self._store.put_new(name, path)
        path.unlink()


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
        while chunk.overlap:
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
        return self.segments(self._before(chunk)).end()[1] if chunk.overlap else None

    def _before(self, chunk: PlannedChunk) -> PlannedChunk:
        return self._plan.chunks[chunk.index - 1]
