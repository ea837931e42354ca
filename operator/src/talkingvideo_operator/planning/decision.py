"""What a decision is made of: intentions, not manifests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job


@dataclass(frozen=True)
class EnsureStageInput:
    """Create the revision's order (a ConfigMap), unless it is there."""


@dataclass(frozen=True)
class CreateJob:
    """Create a stage's Job."""

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
    """Delete every child of the video, except those of the revision ``keep_revision``."""

    keep_revision: str | None


Delete = DeleteJob | DeleteChildren


@dataclass(frozen=True)
class Event:
    """What ``kubectl describe`` tells."""

    reason: Reason
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Decision:
    """What happens next to one video: deletes, creates, one status write, then the events."""

    status: TalkingVideoStatus
    creates: tuple[Create, ...] = ()
    deletes: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()
    requeue_at: datetime | None = None
    """When to decide again though nothing was heard."""
