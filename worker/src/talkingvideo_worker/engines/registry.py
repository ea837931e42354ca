"""Finds engines by entry point, so that other distributions can provide them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Engine

GROUP = "talkingvideo.engines"
"""Group of the entry points."""


def engine_names() -> list[str]:
    """Names of the installed engines."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def make_engine(name: str) -> Engine:
    """Make an engine.

    Raises:
        StageError: E_NOT_SUPPORTED when the engine or one of its requirements is not installed.
    """
    return cast(Engine, _load(require_engine(name))())


def require_engine(name: str) -> EntryPoint:
    """Find the entry point of an engine.

    Raises:
        StageError: E_NOT_SUPPORTED when the engine is not installed.
    """
    for entry in entry_points(group=GROUP, name=name):
        return entry
    message = f"Engine {name!r} is not installed; installed engines: {', '.join(engine_names())}."
    raise StageError(ErrorCode.NOT_SUPPORTED, message, field="spec.engine")


def _load(entry: EntryPoint) -> Any:
    """Load an entry point. Engines with large requirements have their own extra, which small images leave out."""
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        message = (
            f"Engine {entry.name!r} needs {error.name}, which is not installed: use the worker's GPU image, or install "
            f"`talkingvideo-worker[{entry.name}]`."
        )
        raise StageError(ErrorCode.NOT_SUPPORTED, message, field="spec.engine") from error
