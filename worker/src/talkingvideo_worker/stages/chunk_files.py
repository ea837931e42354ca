"""Files of a chunk in the store: their names, their bounds, and ``done.json``, which says that the chunk is finished."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import RenderReport
from talkingvideo_clients.stores.base import MissingFileError, Store

MAX_MODE = 200
"""Most characters of a memory mode: every pod of a namespace may write the file that it is read from."""


SMALL_FILE = 1 << 20
"""Bytes of headers and indices."""

MAX_FILE = 4 << 30
"""Most bytes of a chunk's file, whatever the plan says: plans lie in the store, too."""

RAW_PIXEL = 2
"""Bytes: more than a pixel has without any compression (1.5 in 4:2:0), which is what H.264 falls back to."""

STATE_PICTURES, STATE_PIXEL = 256, 12
"""A state has at most as many pictures as the longest window, each of three channels of 4 bytes. Engines leave a tenth of it."""


@dataclass(frozen=True)
class ChunkBounds:
    """Most bytes of a chunk's files: every pod of a namespace may write them.

    Attributes:
        rendered: Pixels of a picture as the engine makes it.
        delivered: Pixels of a picture of the result.
    """

    rendered: int
    delivered: int

    @classmethod
    def of(cls, plan: Plan) -> ChunkBounds:
        """The bounds of a plan's chunks."""
        return cls(plan.width * plan.height, plan.delivered_width * plan.delivered_height)

    def segment(self, frames: int) -> int:
        """Most bytes of a segment of so many frames."""
        return min(MAX_FILE, SMALL_FILE + frames * self.delivered * RAW_PIXEL)

    @property
    def state(self) -> int:
        """Most bytes of a window's state."""
        return min(MAX_FILE, SMALL_FILE + STATE_PICTURES * self.rendered * STATE_PIXEL)


def state_name(key: str, window: int, segment_digest: str) -> str:
    """Name of the state that the next window needs.

    Args:
        key: Key of the chunk.
        window: Index of the window in the chunk.
        segment_digest: sha256 of the window's segment. Pods that render the same chunk at the same time write one state
            each; rendering may only continue from the state of the segment that was committed.
    """
    return f"{key}/state-{window:04d}-{segment_digest[:16]}.npz"


def memory_mode_name(key: str, window: int, segment_digest: str) -> str:
    """Name of the file with the memory mode that rendered a window; see `state_name` for the digest."""
    return f"{key}/mode-{window:04d}-{segment_digest[:16]}.json"


def done_name(key: str) -> str:
    """Name of the file that is written last, when the chunk is finished."""
    return f"{key}/done.json"


def write_done(store: Store, chunk: PlannedChunk, engine: str, report: RenderReport, scratch: Path) -> None:
    """Write ``done.json``, unless another pod has.

    Args:
        store: Finished chunks.
        chunk: The chunk, all of whose windows are committed.
        engine: Name of the engine.
        report: How the chunk was rendered.
        scratch: Folder for temporary files.
    """
    document = {
        "key": chunk.key,
        "frames": chunk.frames,
        "windows": chunk.windows,
        "engine": engine,
        "rendering": report.to_dict(),
    }
    path = scratch / "done.json"
    path.write_text(json.dumps(document))
    store.put_new(done_name(chunk.key), path)
    path.unlink()


def read_render_report(store: Store, key: str) -> dict[str, Any] | None:
    """How a chunk was rendered, for this or an earlier video.

    Args:
        store: Finished chunks.
        key: Key of the chunk.

    Returns:
        JSON of the `RenderReport`, which may be of another release; empty if the release wrote none. None for a chunk
        that is not finished.
    """
    try:
        return dict(json.loads(store.read(done_name(key)))["rendering"])
    except MissingFileError:
        return None
    except (ValueError, LookupError, TypeError):
        return {}


def memory_mode_of(report: dict[str, Any]) -> str | None:
    """The memory mode in a report of `read_render_report`, if it has one."""
    mode = report.get("memoryMode")
    return mode[:MAX_MODE] if isinstance(mode, str) else None
