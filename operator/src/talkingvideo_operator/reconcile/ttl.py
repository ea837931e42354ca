"""How long children outlive the end. The object and its result are never deleted."""

from __future__ import annotations

from datetime import datetime, timedelta

from talkingvideo_api.effective import DEFAULT_TTL_SECONDS
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus


def children_expire(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the children of a video that has ended are deleted."""
    if status.completion_time is None:
        return None
    given = spec.ttl_seconds_after_finished
    return status.completion_time + timedelta(seconds=DEFAULT_TTL_SECONDS if given is None else given)
