"""The workspace of a revision: the plan and the files that prepare wrote, as the later stages read them."""

from __future__ import annotations

from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, SOUND_NAME, Plan
from talkingvideo_api.profile import InputLimits
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.untrusted import UntrustedError, parse

MADE_BYTES = 1 << 30
MADE_BYTES_PER_SECOND = 4 << 20
"""Generous bounds of what engines make from a picture and from each second of sound, such as embeddings per frame."""

ENGINE_FOLDER = "engine"
"""Folder of the files that the engine's prepare wrote."""

STITCH_FILES = frozenset({SOUND_NAME})
"""Prepared files that stitch reads. Render reads all others: engines may need any of them."""


def used_by(name: str) -> tuple[Stage, ...]:
    """The stages that read a prepared file."""
    return (Stage.STITCH,) if name in STITCH_FILES else (Stage.RENDER,)


def read_plan(context: StageContext) -> Plan | None:
    """Read the plan.

    Returns:
        None when prepare has not finished, or the plan was written by another release or with other effective values.
        The values of a revision also depend on the profile: a spec that is edited and then reverted may find the plan
        of the same revision, but made with other values.
    """
    try:
        plan = parse(Plan, context.workspace.read(PLAN_NAME))
    except (MissingFileError, UntrustedError):
        return None
    return plan if plan.effective_digest == context.stage_input.effective.digest else None


def require_plan(context: StageContext) -> Plan:
    """Read the plan.

    Raises:
        StageError: E_WORKSPACE when there is none for this revision and release; see `read_plan`.
    """
    plan = read_plan(context)
    if plan is None:
        raise lost_data(
            "The workspace has no plan.json for this revision: it was removed, or written by another release or with "
            "other effective values."
        )
    return plan


def read_complete_plan(context: StageContext) -> Plan | None:
    """Read the plan if all of its files exist: a lifecycle rule may remove them first, and the plan is useless alone."""
    plan = read_plan(context)
    return plan if plan is not None and all(_exists(context, plan, name) for name in plan.files) else None


def get_prepared(context: StageContext, plan: Plan, name: str, destination: Path) -> None:
    """Copy one of a plan's files out of the workspace, and compare its content with the plan's digest.

    Raises:
        StageError: E_WORKSPACE when it is missing, larger than all prepared files can be, or has other content.
    """
    try:
        context.workspace.get(plan.stored_name(name), destination, most_prepared_bytes(context.stage_input.limits))
    except MissingFileError as error:
        raise lost_data(f"{name} is missing from the workspace.") from error
    if file_digest(destination) != plan.files[name].sha256:
        destination.unlink()
        raise lost_data(f"{name} in the workspace has other content than its digest says.")


def most_prepared_bytes(limits: InputLimits) -> int:
    """The most that all prepared files can have together: the inputs, and what is made from frames and samples."""
    inputs = limits.image_bytes * 3 + limits.video_bytes + limits.audio_bytes * 2 + limits.lora_bytes
    return 2 * inputs + MADE_BYTES + int(limits.seconds * MADE_BYTES_PER_SECOND)


def lost_data(message: str) -> StageError:
    """The error for data that the store has lost. It is not retryable: only prepare restores the data.

    Args:
        message: What is missing, as a sentence.
    """
    remedy = (
        "Preparing the video again restores it: the operator does so automatically as often as the profile allows prepare "
        "attempts, and afterwards on request by the retry annotation; locally, run the command again."
    )
    return StageError(ErrorCode.WORKSPACE, f"{message} {remedy}", retryable=False)


def _exists(context: StageContext, plan: Plan, name: str) -> bool:
    stored = context.workspace.stat(plan.stored_name(name))
    return stored is not None and stored.sha256 in (None, plan.files[name].sha256)
