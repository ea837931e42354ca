"""Work that the store has lost, to a lifecycle rule or to somebody who tidied up: prepare looks again.

Trying the same stage again cannot help, so the stage says that the failure is not retryable; prepare can: it finds what
is there, and makes anew what is not.
"""

from __future__ import annotations

from datetime import datetime

from talkingvideo_api.names import Stage
from talkingvideo_api.status import Failure, TalkingVideoStatus
from talkingvideo_operator.reconcile.records import is_of_workspace, stage_record, unprepared
from talkingvideo_operator.settings import BackOff


def prepared_again(
    status: TalkingVideoStatus, failure: Failure, attempts: int, back_off: BackOff, now: datetime
) -> TalkingVideoStatus | None:
    """The status with which to prepare again after a failure.

    Args:
        status: Of the video.
        failure: For which nothing more would be tried.
        attempts: How many failures of prepare the profile allows. A loss counts as one, so that a store that loses
            whatever it is given does not keep a video busy for ever.
        back_off: How long to wait.
        now: The present.

    Returns:
        None when that would not help, or was done too often.
    """
    lost = is_of_workspace(failure) and not failure.retryable
    record = stage_record(status, Stage.PREPARE).failed(back_off, now)
    if not lost or record.failures >= attempts:
        return None
    return unprepared(status, record)
