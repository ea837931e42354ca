"""What the leading process learns of the others, and when."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import Connection

from tests.worker.infinitetalk.parallel.stage import SERVED

from talkingvideo_worker.engines.infinitetalk.parallel.members import MemberError, Members

SOON = 8.0


def be_killed(_leader: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_what_an_interrupted_exchange_left_is_never_taken_for_a_result() -> None:
    """A GPU that is brought out of an exchange goes on with what is in its memory, and says nothing of it.

    So between the interruption and the news of its cause nobody may be told that all is well.
    """
    interrupted, told = threading.Event(), threading.Event()
    checked: list[str] = []

    def interrupt() -> None:
        interrupted.set()
        told.wait(0.5)

    members = Members([be_killed], interrupt, SERVED)

    def check() -> None:
        try:
            members.check()
            checked.append("all is well")
        except MemberError as error:
            checked.append(str(error))
        told.set()

    assert interrupted.wait(SOON * 4)
    leader = threading.Thread(target=check)
    leader.start()
    leader.join(SOON)
    members.end()
    assert checked == ["The process of GPU 1 was ended by SIGKILL."]
