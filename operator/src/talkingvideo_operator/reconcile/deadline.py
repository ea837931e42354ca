"""The deadline of a whole video; stages have theirs in their pods, where waiting for a GPU does not count."""

from __future__ import annotations

from datetime import datetime, timedelta

from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus


def deadline(spec: TalkingVideoSpec, status: TalkingVideoStatus) -> datetime | None:
    """When the video fails unless it is finished."""
    if spec.active_deadline_seconds is None or status.start_time is None:
        return None
    return status.start_time + timedelta(seconds=spec.active_deadline_seconds)
