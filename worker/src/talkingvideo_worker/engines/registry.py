"""Engines by name, found by entry point, so that another distribution can bring one."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Engine

GROUP = "talkingvideo.engines"


def engine_names() -> list[str]:
    """Names of the engines that are installed."""
    return sorted(entry.name for entry in entry_points(group=GROUP))


def make_engine(name: str) -> Engine:
    """Make an engine.

    Raises:
        StageError: E_NOT_SUPPORTED when it or one of its requirements is not installed.
    """
    return cast(Engine, _loaded(require_engine(name))())


def require_engine(name: str) -> EntryPoint:
    """The engine's entry point.

    Raises:
        StageError: E_NOT_SUPPORTED when it is not installed.
    """
    for entry in entry_points(group=GROUP, name=name):
        return entry
    message = f"Engine {name!r} is not installed here; {', '.join(engine_names())} are."
    raise StageError(ErrorCode.NOT_SUPPORTED, message, field="spec.engine")


def _loaded(entry: EntryPoint) -> Any:
    """What an entry point names. Engines with large needs have an extra of their own, which small images leave out."""
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        message = (
            f"Engine {entry.name!r} needs {error.name}, which is not installed here: use the worker's image for GPUs, or "
            f"install `talkingvideo-worker[{entry.name}]`."
        )
        raise StageError(ErrorCode.NOT_SUPPORTED, message, field="spec.engine") from error
