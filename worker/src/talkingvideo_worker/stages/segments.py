"""The windows of one chunk in the store: which there are, from where to go on, and who was first.

A segment is the commitment: its first writer has made the window. The state that a window leaves, and the memory mode in
which it was made, are written before, under names that hold the segment's digest; so a segment that is there has both,
and nobody goes on from one pod's pictures with another pod's state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.plan import PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_worker.digest import file_digest
from talkingvideo_worker.stages.chunk_files import done_name, mode_name, segment_name, state_name
from talkingvideo_worker.stores.base import MissingFileError, Store

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
