"""The windows of one chunk in the store, which pods may render at the same time.

Writing a segment commits its window: the first writer wins. The state that a window leaves, and the memory mode that
rendered it, are written before the segment, under names that hold the segment's digest. So a segment in the store has
both, and no pod continues one pod's pictures with another pod's state.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PlannedChunk, segment_name
from talkingvideo_clients.stores.base import MissingFileError, Store
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.stages.chunk_files import (
    ChunkBounds,
    memory_mode_name,
    memory_mode_of,
    state_name,
)
from talkingvideo_worker.untrusted import UntrustedError, read_arrays

State = Mapping[str, NDArray[Any]]
"""What an engine's window leaves for the next one: arrays by name."""


class Segments:
    """The segments of one chunk.

    Args:
        store: Finished chunks.
        chunk: The chunk.
        scratch: Folder for temporary files.
        bounds: Most bytes of the chunk's files.
    """

    def __init__(self, store: Store, chunk: PlannedChunk, scratch: Path, bounds: ChunkBounds) -> None:
        self._bounds = bounds
        self._store = store
        self._chunk = chunk
        self._scratch = scratch

    def count(self) -> int:
        """Number of committed windows, up to the first one that is missing."""
        for window in range(len(self._chunk.windows)):
            if self._store.stat(self._segment_name(window)) is None:
                return window
        return len(self._chunk.windows)

    def resume_point(self, *, stateful: bool) -> tuple[int, State | None]:
        """Where rendering continues.

        Args:
            stateful: Whether the engine needs the state of the previous window. If the store has lost that state, the
                window has to be rendered again.

        Returns:
            Index of the first window to render, and the state of the window before it.
        """
        first = self.count()
        if not stateful or first == len(self._chunk.windows):
            return first, None
        return self._after_last_state(first)

    def final_state(self) -> tuple[int, State | None]:
        """The state of the last window, from which the next chunk continues, or where to resume to restore it.

        Returns:
            As `resume_point`; the number of windows and the final state if the state exists.
        """
        return self._after_last_state(self.count())

    def memory_modes(self) -> tuple[str, ...]:
        """The distinct memory modes that rendered the windows; empty for engines without memory modes."""
        modes = (self._read_memory_mode(window) for window in range(len(self._chunk.windows)))
        return tuple(dict.fromkeys(mode for mode in modes if mode is not None))

    def commit(self, window: int, segment: Path, state: State | None, memory_mode: str | None = None) -> bool:
        """Store a rendered window.

        Args:
            window: Index of the window in the chunk.
            segment: Its frames.
            state: The state that the next window needs, if any.
            memory_mode: The memory mode that rendered it, for engines that have some.

        Returns:
            False when another pod had committed the window before: continue at the resume point.
        """
        name, digest = self._segment_name(window), file_digest(segment)
        if memory_mode is not None:
            self._write_memory_mode(memory_mode_name(self._chunk.key, window, digest), memory_mode)
        if state is not None:
            self._write_state(state_name(self._chunk.key, window, digest), state)
        if self._store.put_new(name, segment):
            return True
        if state is None or self._read_state(window) is not None:
            return False
        self._store.put(name, segment)  # the state of the stored segment is lost: no pod can continue from that segment
        return True

    def _after_last_state(self, count: int) -> tuple[int, State | None]:
        for window in range(count - 1, -1, -1):
            if (state := self._read_state(window)) is not None:
                return window + 1, state
        return 0, None

    def _segment_name(self, window: int) -> str:
        return segment_name(self._chunk.key, window)

    def _segment_digest(self, window: int) -> str:
        """Digest of a segment in the store. Some S3 services keep no digest: then it is computed."""
        stored = self._store.stat(self._segment_name(window))
        if stored is not None and stored.sha256 is not None:
            return stored.sha256
        path = self._scratch / "stored-segment.mp4"
        self._store.get(self._segment_name(window), path, self._bounds.segment(self._chunk.windows[window]))
        digest = file_digest(path)
        path.unlink()
        return digest

    def _read_state(self, window: int) -> State | None:
        """The state that belongs to the segment in the store."""
        path = self._scratch / "state.npz"
        try:
            name = state_name(self._chunk.key, window, self._segment_digest(window))
            self._store.get(name, path, self._bounds.state)
        except MissingFileError:
            return None
        try:
            return read_arrays(path, self._bounds.state)
        except UntrustedError as error:
            message = (
                f"The state of window {window} of chunk {self._chunk.index} in the store {error}: it was not written by this "
                f"release. Delete the folder {self._chunk.key} among the chunks, and retry."
            )
            raise StageError(ErrorCode.WORKSPACE, message, retryable=False) from None
        finally:
            path.unlink()

    def _write_state(self, name: str, state: State) -> None:
        path = self._scratch / "state.npz"
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **state)
        if path.stat().st_size > self._bounds.state:
            message = (
                f"The engine's state after a window is larger than {self._bounds.state:,} bytes: nothing would read it."
            )
            raise StageError(ErrorCode.GENERATION_RUNTIME, message, retryable=False)
        self._store.put_new(name, path)
        path.unlink()

    def _read_memory_mode(self, window: int) -> str | None:
        """The memory mode that rendered the segment in the store."""
        try:
            content = self._store.read(memory_mode_name(self._chunk.key, window, self._segment_digest(window)))
        except MissingFileError:
            return None
        try:
            return memory_mode_of(dict(json.loads(content)))
        except (ValueError, TypeError):
            return None

    def _write_memory_mode(self, name: str, mode: str) -> None:
        path = self._scratch / "mode.json"
        path.write_text(json.dumps({"memoryMode": mode}))
        self._store.put_new(name, path)
        path.unlink()
