"""Projections of Kubernetes objects: what decisions are made from, and nothing else.

Whole bodies are not kept: a finished pod is 8 KB of JSON and a few hundred bytes here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from talkingvideo_api import names
from talkingvideo_api.errors import StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import FailureReport
from talkingvideo_api.resource import parse
from talkingvideo_api.revision import revision_of
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus

logger = logging.getLogger(__name__)

Body = Mapping[str, Any]
T = TypeVar("T")

KUEUE_QUEUE_LABEL = "kueue.x-k8s.io/queue-name"


def instant(text: str | None) -> datetime | None:
    """A Kubernetes timestamp as an aware datetime."""
    return datetime.fromisoformat(text) if text else None


def try_parse(project: Callable[[Body], T], body: Body) -> T | None:
    """The projection of an object, or None of one that only looks like a child.

    Labels are anybody's to write: an object that carries some of ours, and nonsense in the others, stops nothing.
    """
    try:
        return project(body)
    except (KeyError, ValueError, TypeError) as problem:
        meta = body.get("metadata", {})
        logger.debug("%s/%s is not try_parse: %r", meta.get("namespace"), meta.get("name"), problem)
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
    """Value of the retry annotation."""
    spec: TalkingVideoSpec | None
    revision: str | None
    invalid: FailureReport | None
    """Why spec is None: something that the schema let through."""
    status: TalkingVideoStatus

    @property
    def owner(self) -> str:
        """The key that it and its children are kept under."""
        return self.uid

    @classmethod
    def of(cls, body: Body) -> Video:
        """Project an object as the API returns it."""
        meta = body["metadata"]
        spec, invalid = _read_spec(body)
        return cls(
            uid=meta["uid"],
            namespace=meta["namespace"],
            name=meta["name"],
            resource_version=int(meta["resourceVersion"]),
            generation=meta.get("generation", 0),
            created=datetime.fromisoformat(meta["creationTimestamp"]),
            deleting="deletionTimestamp" in meta,
            retry=(meta.get("annotations") or {}).get(names.ANNOTATION_RETRY),
            spec=spec,
            revision=revision_of(spec) if spec else None,
            invalid=invalid,
            status=_read_status(body.get("status") or {}),
        )


def _read_spec(body: Body) -> tuple[TalkingVideoSpec | None, FailureReport | None]:
    try:
        return parse({**body, "status": {}}).spec, None
    except StageError as error:
        return None, FailureReport.of(error)


def _read_status(status: Body) -> TalkingVideoStatus:
    """A status that this release cannot read counts as none: the work is planned anew, and finished chunks are found."""
    try:
        return TalkingVideoStatus.model_validate(status)
    except ValidationError:
        return TalkingVideoStatus()


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of one stage, or one chunk."""

    uid: str
    namespace: str
    name: str
    owner: str
    """uid of its TalkingVideo."""
    resource_version: int
    revision: str
    stage: Stage
    chunk: int | None
    attempt: int
    deleting: bool = False
    queued: bool = False
    """Kueue admits it, not this operator."""
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
        """Project a Job as the API returns it, or as it is about to be created."""
        meta, labels = body["metadata"], body["metadata"]["labels"]
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
            chunk=None if chunk is None else int(chunk),
            attempt=int(labels[names.LABEL_ATTEMPT]),
            deleting="deletionTimestamp" in meta,
            queued=KUEUE_QUEUE_LABEL in labels,
            suspended=bool(body["spec"].get("suspend")),
            created=instant(meta.get("creationTimestamp")),
            complete=complete is not None,
            failed=failed is not None,
            reason=end.get("reason", ""),
            message=end.get("message", ""),
            ended=instant(end.get("lastTransitionTime")),
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
            waiting_reason=waiting.get("reason", ""),
            waiting_message=waiting.get("message", ""),
            started=instant(running.get("startedAt") or ended.get("startedAt")),
            ended=instant(ended.get("finishedAt")),
            exit_status=ended.get("exitCode"),
            reason=ended.get("reason", ""),
            message=ended.get("message", ""),
        )


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of one of the Jobs."""

    uid: str
    namespace: str
    name: str
    owner: str
    """uid of its TalkingVideo."""
    job_uid: str
    resource_version: int
    phase: str
    created: datetime
    reason: str = ""
    message: str = ""
    deletion: datetime | None = None
    """When it should be gone."""
    disrupted: bool = False
    """Evicted, preempted or lost with its node."""
    unschedulable: str = ""
    """The scheduler's sentence, while it finds no node."""
    containers: tuple[Container, ...] = ()

    @property
    def started(self) -> datetime | None:
        """When its first container began."""
        return min((c.started for c in self.containers if c.started), default=None)

    @classmethod
    def of(cls, body: Body) -> Pod:
        """Project a pod as the API returns it."""
        meta, status = body["metadata"], body.get("status", {})
        job: Body = next((o for o in meta.get("ownerReferences", ()) if o["kind"] == "Job"), {})
        scheduled: Body = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
        waits_for_node = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
        return cls(
            uid=meta["uid"],
            namespace=meta["namespace"],
            name=meta["name"],
            owner=meta["labels"][names.LABEL_UID],
            job_uid=job.get("uid", ""),
            resource_version=int(meta["resourceVersion"]),
            phase=status.get("phase", "Pending"),
            created=datetime.fromisoformat(meta["creationTimestamp"]),
            reason=status.get("reason", ""),
            message=status.get("message", ""),
            deletion=instant(meta.get("deletionTimestamp")),
            disrupted=_true_condition(body, "DisruptionTarget") is not None,
            unschedulable=scheduled.get("message", "") if waits_for_node else "",
            containers=(
                *(Container.of(c, init=True) for c in status.get("initContainerStatuses") or ()),
                *(Container.of(c, init=False) for c in status.get("containerStatuses") or ()),
            ),
        )
