"""What prepare left in the workspace, for those that need it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME, Plan
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stores.base import MissingFileError

SOUND_NAME = "sound.m4a"
"""The delivered sound."""

ENGINE_FOLDER = "engine"
"""What the engine's prepare wrote lies below it."""


def get_prepared(context: StageContext, plan: Plan, name: str, destination: Path) -> None:
    """Copy one of a plan's files out of the workspace.

    Raises:
        StageError: E_WORKSPACE when it is gone. The plan is taken back then: what is left of it cannot be rendered, and
            while it is there the next prepare would keep it.
    """
    try:
        context.workspace.get(plan.stored_name(name), destination)
    except MissingFileError as error:
        with suppress(StageError):
            if context.read_plan() == plan:
                context.workspace.remove(PLAN_NAME)
        message = f"The workspace has lost {name}, or somebody removed it; the retry annotation makes it again."
        raise StageError(ErrorCode.WORKSPACE, message) from error
