"""What prepare left in the workspace, for those that need it."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.plan import Plan
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_worker.stages.context import StageContext, lost

SOUND_NAME = "sound.m4a"
"""The delivered sound."""

ENGINE_FOLDER = "engine"
"""What the engine's prepare wrote lies below it."""


def whole_plan(context: StageContext) -> Plan | None:
    """The plan, if all of its files are there: a lifecycle rule may take them before it, and then it is of no use."""
    plan = context.read_plan()
    return plan if plan is not None and all(_is_there(context, plan, name) for name in plan.files) else None


def get_prepared(context: StageContext, plan: Plan, name: str, destination: Path) -> None:
    """Copy one of a plan's files out of the workspace.

    Raises:
        StageError: E_WORKSPACE when it is gone.
    """
    try:
        context.workspace.get(plan.stored_name(name), destination)
    except MissingFileError as error:
        raise lost(f"The workspace has lost {name}, or somebody removed it.") from error


def _is_there(context: StageContext, plan: Plan, name: str) -> bool:
    stored = context.workspace.stat(plan.stored_name(name))
    return stored is not None and stored.sha256 in (None, plan.files[name].sha256)
