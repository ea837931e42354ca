"""A TalkingVideo as the gateway reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, JsonValue, StringConstraints, ValidationError

from talkingvideo_api import names
from talkingvideo_api.conditions import UNSUCCESSFUL_PHASES, Phase
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.model import Model
from talkingvideo_api.reports import Sha256
from talkingvideo_api.status import TalkingVideoStatus

MAX_OPTIONS = 32
MAX_WARNINGS = 32


class RequestRecord(Model):
    """What a dialect must know of a request later on, in the annotation `names.ANNOTATION_REQUEST`.

    Everything else is in the resource. Whoever may write annotations may write this one, so it is read as input: it decides
    how an answer looks, never what somebody may see.
    """

    dialect: Annotated[str, StringConstraints(max_length=32)]
    """Name of the dialect."""
    digest: Sha256
    """Of the request: the same idempotency key with another digest is another request."""
    options: Annotated[dict[str, JsonValue], Field(max_length=MAX_OPTIONS)] = Field(default_factory=dict)
    """What the answer depends on, such as ``push_to_s3``."""
    warnings: Annotated[
        tuple[Annotated[str, StringConstraints(max_length=320)], ...], Field(max_length=MAX_WARNINGS)
    ] = ()
    """What the gateway has changed or ignored, as sentences."""


class State(StrEnum):
    """How a video stands, in words that every dialect has its own for."""

    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    CANCELLED = "Cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens by itself."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True, slots=True)
class VideoObject:
    """A TalkingVideo as an answer is made from it."""

    namespace: str
    name: str
    uid: str
    resource_version: int
    """Grows with each change of any object."""
    created: datetime
    spec: Mapping[str, Any]
    """As it was sent, in camelCase; see `complete`."""
    status: TalkingVideoStatus
    caller: str
    """Label value of who has created it; empty where nobody is named."""
    batch: str
    """Label value of the batch that it belongs to; empty without one."""
    request: RequestRecord | None
    """What the gateway has recorded; None where the object was made without it."""
    retry: str | None = None
    """Value of the retry annotation."""
    deleting: bool = False
    complete: bool = True
    """Whether the spec is complete. A cache leaves out ``data:`` URIs, and of a large spec keeps short fields only."""

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Project an object as the API server returns it."""
        metadata = document["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            resource_version=int(metadata["resourceVersion"]),
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            spec=document.get("spec") or {},
            status=TalkingVideoStatus.read(document.get("status") or {}),
            caller=labels.get(names.LABEL_CALLER, ""),
            batch=labels.get(names.LABEL_BATCH, ""),
            request=_request(annotations.get(names.ANNOTATION_REQUEST)),
            retry=annotations.get(names.ANNOTATION_RETRY),
            deleting="deletionTimestamp" in metadata,
        )

    @property
    def state(self) -> State:
        """How it stands. A retry that nobody has acted on yet is queued."""
        status, cancel = self.status, bool(self.spec.get("cancel"))
        if self.retry_requested and not cancel:
            return State.QUEUED
        match status.phase:
            case Phase.SUCCEEDED:
                return State.SUCCEEDED
            case Phase.CANCELLED:
                return State.CANCELLED
            case Phase.FAILED:
                timed_out = status.failure is not None and status.failure.code is ErrorCode.TIMEOUT
                return State.TIMED_OUT if timed_out else State.FAILED
            case None | Phase.PENDING | Phase.SUSPENDED:
                return State.CANCELLED if cancel else State.QUEUED
        if cancel:
            return State.CANCELLED
        return State.QUEUED if status.chunks is None and status.queue_position is not None else State.RUNNING

    @property
    def retry_requested(self) -> bool:
        """Whether it has ended without a result and is to be made again."""
        unsuccessful = self.status.phase in UNSUCCESSFUL_PHASES
        return unsuccessful and self.retry is not None and self.retry != self.status.observed_retry

    @property
    def warnings(self) -> tuple[str, ...]:
        """What was changed, ignored or assumed, by the gateway and afterwards."""
        return (*(self.request.warnings if self.request else ()), *self.status.warnings)

    def option(self, name: str) -> JsonValue:
        """An option of the request; None where it is not recorded."""
        return self.request.options.get(name) if self.request else None


def _request(annotation: str | None) -> RequestRecord | None:
    try:
        return RequestRecord.model_validate_json(annotation) if annotation else None
    except ValidationError:
        return None
