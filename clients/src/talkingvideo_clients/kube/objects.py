"""Projections of Kubernetes objects: the fields from which decisions are made, and no others.

Whole objects are not kept: a finished pod is 8 KB of JSON, and a few hundred bytes here.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from talkingvideo_api import names
from talkingvideo_api.errors import StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import MAX_CHUNKS, FailureReport
from talkingvideo_api.resource import parse
from talkingvideo_api.revision import revision_of
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import MAX_ATTEMPT, TalkingVideoStatus
from talkingvideo_api.texts import truncate

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]
T = TypeVar("T")

MAX_MESSAGE = 4_096
"""Bytes of a message: those of a termination message, at which the kubelet cuts it. Whoever may write the status of a pod may write
more."""

MAX_REASON = 256
MAX_CONTAINERS = 8

MAX_RETRY_VALUE = 128
"""Characters of the retry annotation. People write a time or a counter."""

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def parse_time(text: str | None) -> datetime | None:
    """A Kubernetes timestamp as an aware datetime."""
    return datetime.fromisoformat(text) if text else None


def try_parse(project: Callable[[Body], T], body: Body) -> T | None:
    """The projection of an object, or None where it cannot be parsed.

    Every user can write labels. An object with some of the operator's labels and invalid values in others must not stop
    the operator.
    """
    try:
        return project(body)
    except (KeyError, ValueError, TypeError) as error:
        meta = body.get("metadata", {})
        logger.debug("cannot parse %s/%s: %r", meta.get("namespace"), meta.get("name"), error)
        return None


def _true_condition(body: Body, kind: str) -> Body | None:
    conditions = body.get("status", {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


@dataclass(frozen=True, slots=True)
class Video:
    """A TalkingVideo."""

    uid: str
    namespace: str
    name: str
    resource_version: int
    generation: int
    created: datetime
    deleting: bool
    retry: str | None
    """The value of the retry annotation."""
    spec: TalkingVideoSpec | None
    revision: str | None
    invalid: FailureReport | None
    """Why spec is None: the models refuse something that the schema accepts."""
    status: TalkingVideoStatus
    complete: bool = True
    """Whether spec is the complete spec, and not the outline that a cache keeps of a large object."""

    @classmethod
    def of(cls, body: Body) -> Video:
        """Project an object as the API returns it."""
        meta = body["metadata"]
        spec, invalid = _parse_spec(body)
        return cls(
            uid=meta["uid"],
            namespace=meta["namespace"],
            name=meta["name"],
            resource_version=int(meta["resourceVersion"]),
            generation=meta.get("generation", 0),
            created=datetime.fromisoformat(meta["creationTimestamp"]),
            deleting="deletionTimestamp" in meta,
            retry=_bounded((meta.get("annotations") or {}).get(names.ANNOTATION_RETRY)),
            spec=spec,
            revision=revision_of(spec) if spec else None,
            invalid=invalid,
            # Where it cannot be read, work starts again and finds the finished chunks.
            status=TalkingVideoStatus.read(body.get("status") or {}),
        )


def _bounded(annotation: str | None) -> str | None:
    """An annotation, or its digest if it is long or no text: a value is copied into status, and may have 256 KiB."""
    if annotation is None or (len(annotation) <= MAX_RETRY_VALUE and annotation.isprintable()):
        return annotation
    return f"sha256:{hashlib.sha256(annotation.encode()).hexdigest()}"


def _parse_spec(body: Body) -> tuple[TalkingVideoSpec | None, FailureReport | None]:
    try:
        return parse({**body, "status": {}}).spec, None
    except StageError as error:
        return None, FailureReport.of(error)


def _require_owner(meta: Body, uid: str) -> None:
    owners = meta.get("ownerReferences")
    if owners and uid not in {owner["uid"] for owner in owners}:
        raise ValueError("the TalkingVideo of its labels does not own it")


def _number(label: str, largest: int) -> int:
    """The number in a label. A larger one would not fit into status."""
    number = int(label)
    if not 0 <= number <= largest:
        raise ValueError(f"{label} is not between 0 and {largest}")
    return number


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of one stage, or one chunk."""

    uid: str
    namespace: str
    name: str
    owner: str
    """Uid of its TalkingVideo."""
    resource_version: int
    revision: str
    stage: Stage
    chunk: int | None
    attempt: int
    deleting: bool = False
    orphaned: bool = False
    """Nobody owns it: its video was deleted without its children, or somebody else has written the labels."""
    queued: bool = False
    """Kueue admits it, not the operator."""
    suspended: bool = False
    created: datetime | None = None
    complete: bool = False
    failed: bool = False
    reason: str = ""
    message: str = ""
    ended: datetime | None = None

    @property
    def unfinished(self) -> bool:
        """Whether it may still have a pod that runs."""
        return not (self.complete or self.failed or self.deleting)

    @classmethod
    def of(cls, body: Body) -> Job:
        """Project a Job as the API returns it, or as it is about to be created.

        Raises:
            ValueError: Something else owns it than the video that its labels name: anyone who may create Jobs may write labels.
        """
        meta, labels = body["metadata"], body["metadata"]["labels"]
        _require_owner(meta, labels[names.LABEL_UID])
        complete = _true_condition(body, "Complete") or _true_condition(body, "SuccessCriteriaMet")
        failed = _true_condition(body, "Failed")
        end: Body = complete or failed or {}
        chunk = labels.get(names.LABEL_CHUNK)
        return cls(
            uid=meta.get("uid", ""),
            namespace=meta["namespace"],
            name=meta["name"],
            owner=labels[names.LABEL_UID],
            resource_version=int(meta.get("resourceVersion", 0)),
            revision=labels[names.LABEL_REVISION],
            stage=Stage(labels[names.LABEL_STAGE]),
            chunk=None if chunk is None else _number(chunk, MAX_CHUNKS - 1),
            attempt=_number(labels[names.LABEL_ATTEMPT], MAX_ATTEMPT),
            deleting="deletionTimestamp" in meta,
            orphaned=not meta.get("ownerReferences"),
            queued=KUEUE_QUEUE_LABEL in labels,
            suspended=bool(body["spec"].get("suspend")),
            created=parse_time(meta.get("creationTimestamp")),
            complete=complete is not None,
            failed=failed is not None,
            reason=truncate(end.get("reason", ""), MAX_REASON),
            message=truncate(end.get("message", ""), MAX_MESSAGE),
            ended=parse_time(end.get("lastTransitionTime")),
        )


@dataclass(frozen=True, slots=True)
class Container:
    """State of one container of a pod."""

    name: str
    init: bool
    waiting_reason: str = ""
    waiting_message: str = ""
    started: datetime | None = None
    ended: datetime | None = None
    exit_status: int | None = None
    reason: str = ""
    message: str = ""
    """Its termination message."""

    @classmethod
    def of(cls, status: Body, *, init: bool) -> Container:
        """Project an entry of containerStatuses or initContainerStatuses."""
        state = status.get("state") or {}
        waiting, running, ended = (state.get(key) or {} for key in ("waiting", "running", "terminated"))
        return cls(
            name=status["name"],
            init=init,
            waiting_reason=truncate(waiting.get("reason", ""), MAX_REASON),
            waiting_message=truncate(waiting.get("message", ""), MAX_MESSAGE),
            started=parse_time(running.get("startedAt") or ended.get("startedAt")),
            ended=parse_time(ended.get("finishedAt")),
            exit_status=ended.get("exitCode"),
            reason=truncate(ended.get("reason", ""), MAX_REASON),
            message=truncate(ended.get("message", ""), MAX_MESSAGE),
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of one of the Jobs."""

    uid: str
    namespace: str
    name: str
    owner: str
    """Uid of its TalkingVideo."""
    job_uid: str
    resource_version: int
    phase: str
    created: datetime
    reason: str = ""
    message: str = ""
    deletion: datetime | None = None
    """When it should be gone: its deletion time plus the grace period."""
    disrupted: bool = False
    """Evicted, preempted, or lost with its node."""
    unschedulable: str = ""
    """The scheduler's message while it finds no node."""
    containers: tuple[Container, ...] = ()

    @property
    def started(self) -> datetime | None:
        """When its first container started."""
        return min((c.started for c in self.containers if c.started), default=None)

    @classmethod
    def of(cls, body: Body) -> Pod:
        """Project a pod as the API returns it."""
        meta, status = body["metadata"], body.get("status", {})
        job: Body = next((o for o in meta.get("ownerReferences", ()) if o["kind"] == "Job"), {})
        scheduled: Body = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
        unschedulable = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
        return cls(
            uid=meta["uid"],
            namespace=meta["namespace"],
            name=meta["name"],
            owner=meta["labels"][names.LABEL_UID],
            job_uid=job.get("uid", ""),
            resource_version=int(meta["resourceVersion"]),
            phase=status.get("phase", "Pending"),
            created=datetime.fromisoformat(meta["creationTimestamp"]),
            reason=truncate(status.get("reason", ""), MAX_REASON),
            message=truncate(status.get("message", ""), MAX_MESSAGE),
            deletion=parse_time(meta.get("deletionTimestamp")),
            disrupted=_true_condition(body, "DisruptionTarget") is not None,
            unschedulable=truncate(scheduled.get("message", ""), MAX_MESSAGE) if unschedulable else "",
            containers=(
                *(Container.of(c, init=True) for c in (status.get("initContainerStatuses") or ())[:MAX_CONTAINERS]),
                *(Container.of(c, init=False) for c in (status.get("containerStatuses") or ())[:MAX_CONTAINERS]),
            ),
        )
