"""What every stage needs: its order, its places, its folder, and somebody to report to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.order import Order
from talkingvideo_api.plan import PLAN_NAME, Plan
from talkingvideo_worker.progress import Reporter
from talkingvideo_worker.stores.base import MissingFileError, Store
from talkingvideo_worker.stores.opening import open_beside, open_store


@dataclass(frozen=True)
class Mounts:
    """Where what an order names is mounted.

    Attributes:
        claims: PersistentVolumeClaims, each in a folder of its name.
        configmaps: ConfigMaps, likewise; a file per key.
        headers: Secrets of ``headersSecretName``, likewise; a file per HTTP header.
    """

    claims: Path
    configmaps: Path
    headers: Path


@dataclass(frozen=True)
class StageContext:
    """The surroundings of a stage."""

    order: Order
    mounts: Mounts
    scratch: Path
    reporter: Reporter

    @property
    def workspace(self) -> Store:
        """Folder of this revision."""
        return self._open(self.order.places.workspace)

    @property
    def chunks(self) -> Store:
        """Finished chunks by key."""
        return self._open(self.order.places.chunks)

    def result(self) -> tuple[Store, str]:
        """The result's folder, and its name without ending."""
        return open_beside(self.order.places.result, self.order.s3, self.mounts.claims)

    def read_plan(self) -> Plan | None:
        """The plan, or None when prepare has not finished."""
        try:
            return Plan.model_validate_json(self.workspace.read(PLAN_NAME))
        except MissingFileError:
            return None

    def require_plan(self) -> Plan:
        """The plan.

        Raises:
            StageError: E_WORKSPACE when it is gone: somebody emptied the workspace.
        """
        plan = self.read_plan()
        if plan is None:
            message = "plan.json is not in the workspace: it was removed; the retry annotation makes it again."
            raise StageError(ErrorCode.WORKSPACE, message)
        return plan

    def _open(self, uri: str) -> Store:
        return open_store(uri, self.order.s3, self.mounts.claims)


def read_order(path: Path) -> Order:
    """Read an order.

    Raises:
        StageError: E_INTERNAL when it is none: operator and worker are of different releases.
    """
    try:
        return Order.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        message = f"The order cannot be read; operator and worker must be of one release: {error}"
        raise StageError(ErrorCode.INTERNAL, message) from error
