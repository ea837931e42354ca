"""What a stage runs with: its input, its mounts and stores, a scratch folder and a reporter."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import ANNOTATION_RETRY
from talkingvideo_api.stage_input import StageInput
from talkingvideo_clients.stores.base import Store
from talkingvideo_clients.stores.factory import open_parent, open_store
from talkingvideo_worker.engines.base import Engine
from talkingvideo_worker.engines.registry import make_engine
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.progress import Reporter
from talkingvideo_worker.untrusted import UntrustedError, read_file

MAX_STAGE_INPUT = 2 << 20
"""Bytes: a ConfigMap holds at most one MiB."""


@dataclass(frozen=True)
class StageContext:
    """What a stage runs with.

    Attributes:
        stage_input: What to make.
        mounts: Folders of mounted claims, ConfigMaps and Secrets.
        scratch: Folder for temporary files. The steps of prepare share it.
        reporter: Receives the progress.
    """

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
    def result(self) -> tuple[Store, str]:
        """Folder of the result, and the name of its files without suffix."""
        return open_parent(self.stage_input.locations.result, self.stage_input.s3, self.mounts.claims)

    @cached_property
    def engine(self) -> Engine:
        """The engine: one for all chunks that this process renders, so that its model is loaded once."""
        return make_engine(self.stage_input.effective.engine)

    def _open(self, uri: str) -> Store:
        return open_store(uri, self.stage_input.s3, self.mounts.claims)


def read_stage_input(path: Path, sha256: str | None = None) -> StageInput:
    """Read a stage input.

    Args:
        path: The file.
        sha256: Digest that its bytes must have, compared before they are parsed; not checked when absent.

    Raises:
        StageError: E_INTERNAL when the file is not the one that the operator wrote, or cannot be read as one: operator
            and worker are of different releases.
    """
    try:
        content = read_file(path, MAX_STAGE_INPUT)
    except OSError as error:
        raise StageError(ErrorCode.INTERNAL, f"The stage input cannot be read: {error.strerror}.") from error
    except UntrustedError as error:
        raise StageError(ErrorCode.INTERNAL, f"The stage input {error}.", retryable=False) from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        message = (
            "The stage input is not the one that the operator wrote: its sha256 differs from that in the Job's arguments. "
            f"Find out who replaced the ConfigMap, delete it, and retry with the annotation {ANNOTATION_RETRY}."
        )
        raise StageError(ErrorCode.INTERNAL, message, retryable=False)
    try:
        return StageInput.model_validate_json(content)
    except ValidationError as error:
        # Not the error itself: it repeats the values that it refuses, and URIs may hold signatures.
        locations = (".".join(map(str, detail["loc"])) or detail["type"] for detail in error.errors()[:3])
        message = (
            f"The stage input is invalid ({', '.join(locations)}); operator and worker must be of the same release."
        )
        raise StageError(ErrorCode.INTERNAL, message) from error
