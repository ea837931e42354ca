"""What rank 0 learns about its workers, and when."""

from __future__ import annotations

import os
import signal
import threading
from multiprocessing.connection import Connection

from tests.worker.infinitetalk.parallel.rendered_windows import SERVED

from talkingvideo_worker.engines.infinitetalk.parallel.processes import WorkerFailedError, WorkerProcesses

SOON = 8.0


def be_killed(_leader: Connection) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_result_of_an_interrupted_exchange_is_never_accepted() -> None:
    """A GPU that is interrupted in an exchange continues with what is in its memory, without an error.

    So between the interruption and the report of its cause, a check must not pass.
    """
    interrupted, checked_once = threading.Event(), threading.Event()
    checked: list[str] = []

    def interrupt() -> None:
        interrupted.set()
        checked_once.wait(0.5)

    workers = WorkerProcesses([be_killed], interrupt, SERVED)

    def check() -> None:
        try:
            workers.check()
            checked.append("all is well")
        except WorkerFailedError as error:
            checked.append(str(error))
        checked_once.set()

    assert interrupted.wait(SOON * 4)
    leader = threading.Thread(target=check)
    leader.start()
    leader.join(SOON)
    workers.terminate()
    assert checked == ["The process of GPU 1 was ended by SIGKILL."]
