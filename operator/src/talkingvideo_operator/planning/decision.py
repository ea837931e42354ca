"""What a decision consists of: intentions. The builders turn them into manifests, the effects carry them out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job


@dataclass(frozen=True)
class EnsureStageInput:
    """Create the revision's stage input (a ConfigMap) unless it exists."""


@dataclass(frozen=True)
class CreateJob:
    """Create the Job of one attempt at a stage, or at one chunk."""

    stage: Stage
    attempt: int
    chunk: int | None = None


Create = EnsureStageInput | CreateJob


@dataclass(frozen=True)
class DeleteJob:
    """Delete one Job and its pods."""

    job: Job


@dataclass(frozen=True)
class DeleteChildren:
    """Delete the video's children, except those of ``keep_revision``; all of them when it is None."""

    keep_revision: str | None


Delete = DeleteJob | DeleteChildren


@dataclass(frozen=True)
class Event:
    """What ``kubectl describe`` shows."""

    reason: Reason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Decision:
    """What happens next to one video, in this order: deletes, creates, one status write, then the events."""

    status: TalkingVideoStatus
    creates: tuple[Create, ...] = ()
    deletes: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
    """When to decide again if no watch reports a change before."""
