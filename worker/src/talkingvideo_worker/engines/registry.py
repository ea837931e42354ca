"""Engines by name, found by entry point, so that another distribution can bring one."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Engine

GROUP = "talkingvideo.engines"


def engine_names() -> list[str]:
    """Names of the engines that are installed."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def make_engine(name: str) -> Engine:
    """Make an engine.

    Raises:
        StageError: E_NOT_SUPPORTED when it is not installed.
    """
    for entry in entry_points(group=GROUP, name=name):
        return cast(Engine, entry.load()())
    known = ", ".join(engine_names())
    raise StageError(
        ErrorCode.NOT_SUPPORTED, f"Engine {name!r} is not in this image; it has {known}.", field="spec.engine"
    )
