"""Reads progress from the tails of pods' logs. Best effort: a log that cannot be read is no error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from talkingvideo_api.reports import Progress, ProgressLine
from talkingvideo_clients.kube.api import Api, ApiError
from talkingvideo_clients.kube.objects import Pod

logger = logging.getLogger(__name__)

TAIL_BYTES = 16_384
CONCURRENT_READS = 8


class ProgressReader:
    """Keeps the latest progress of every running Job.

    Attributes:
        latest: By uid of the Job.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._slots = asyncio.Semaphore(CONCURRENT_READS)
        self.latest: dict[str, Progress] = {}

    async def poll(self, pods: Callable[[], Iterable[Pod]], enqueue: Callable[[str], None], seconds: float) -> None:
        """Read the logs of running pods forever.

        Args:
            pods: The running pods of all videos' Jobs.
            enqueue: Called with the uid of each video whose progress has changed.
            seconds: Pause between two rounds.
        """
        while True:
            await asyncio.sleep(seconds)
            running = list(pods())
            jobs = {pod.job_uid for pod in running}
            self.latest = {uid: progress for uid, progress in self.latest.items() if uid in jobs}
            changed = await asyncio.gather(*(self._read(pod) for pod in running))
            for pod, has_changed in zip(running, changed, strict=True):
                if has_changed:
                    enqueue(pod.owner)

    async def _read(self, pod: Pod) -> bool:
        """Read one pod's log; return whether it shows new progress."""
        container = next((c.name for c in pod.containers if c.started and not c.ended), None)
        if container is None:
            return False
        async with self._slots:
            try:
                tail = await self._api.log_tail(pod.namespace, pod.name, container, TAIL_BYTES)
            except ApiError as error:
                logger.debug("cannot read the log of %s: %s", pod.name, error)
                return False
        progress = ProgressLine.latest(tail)
        if progress is None or progress == self.latest.get(pod.job_uid):
            return False
        self.latest[pod.job_uid] = progress
        return True
