"""What every stage needs: its input, its stores, its folder, and a reporter."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PLAN_NAME, Plan
from talkingvideo_api.stage_input import StageInput
from talkingvideo_clients.stores.base import MissingFileError, Store
from talkingvideo_clients.stores.factory import open_parent, open_store
from talkingvideo_worker.engines.base import Engine
from talkingvideo_worker.engines.registry import make_engine
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import Reporter


def lost(what: str) -> StageError:
    """The error of a stage that cannot help itself: another attempt finds no more, only prepare makes it again.

    Args:
        what: What is missing, in a sentence.
    """
    message = (
        f"{what} It is made again when the video is prepared again: the operator does that by itself as often as the "
        "profile allows prepare attempts, and then when the retry annotation asks for it; a local run, when run again."
    )
    return StageError(ErrorCode.WORKSPACE, message, retryable=False)


@dataclass(frozen=True)
class StageContext:
    """The surroundings of a stage."""

    stage_input: StageInput
    mounts: Mounts
    scratch: Path
    reporter: Reporter

    @cached_property
    def workspace(self) -> Store:
        """Folder of this revision."""
        return self._open(self.stage_input.locations.workspace)

    @cached_property
    def chunks(self) -> Store:
        """Finished chunks by key."""
        return self._open(self.stage_input.locations.chunks)

    @cached_property
    def engine(self) -> Engine:
        """The order's engine: one for all chunks that this process renders, so that its model is loaded once."""
        return make_engine(self.stage_input.effective.engine)

    @cached_property
    def result(self) -> tuple[Store, str]:
        """The result's folder, and its name without ending."""
        return open_parent(self.stage_input.locations.result, self.stage_input.s3, self.mounts.claims)

    def read_plan(self) -> Plan | None:
        """The plan, or None when prepare has not finished, or has made one for another release or with other values.

        Values of a revision come from the profile, too: a spec that is edited and edited back may find other ones.
        """
        try:
            plan = Plan.model_validate_json(self.workspace.read(PLAN_NAME))
        except (MissingFileError, ValidationError):
            return None
        return plan if plan.effective_digest == self.stage_input.effective.digest else None

    def require_plan(self) -> Plan:
        """The plan.

        Raises:
            StageError: E_WORKSPACE when it is gone (somebody emptied the workspace) or not for this order and release.
        """
        plan = self.read_plan()
        if plan is None:
            raise lost(
                "The workspace has no plan.json for this order: it was removed, or made by another release or with other "
                "values in force."
            )
        return plan

    def _open(self, uri: str) -> Store:
        return open_store(uri, self.stage_input.s3, self.mounts.claims)


def read_stage_input(path: Path) -> StageInput:
    """Read an order.

    Raises:
        StageError: E_INTERNAL when it is none: operator and worker are of different releases.
    """
    try:
        return StageInput.model_validate_json(path.read_bytes())
    except OSError as error:
        raise StageError(ErrorCode.INTERNAL, f"The order cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        # Not the error itself: it repeats what it refuses, and URIs hold signatures.
        wrong = ", ".join(".".join(str(part) for part in it["loc"]) or it["type"] for it in error.errors()[:3])
        message = f"The order cannot be read ({wrong}); operator and worker must be of one release."
        raise StageError(ErrorCode.INTERNAL, message) from error
