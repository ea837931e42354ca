"""``done.json`` of a chunk: written last, it says that every window is there, and how they were rendered."""

from __future__ import annotations

import json
from typing import Any

from talkingvideo_worker.stages.chunk_files import done_name
from talkingvideo_worker.stores.base import MissingFileError, Store


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
