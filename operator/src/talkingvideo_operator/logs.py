"""Progress from the tails of pods' logs. Best effort: what cannot be read is unknown, never an error."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from talkingvideo_api.reports import Progress, ProgressLine
from talkingvideo_clients.kube.api import Api, ApiError
from talkingvideo_clients.kube.objects import Pod

logger = logging.getLogger(__name__)

TAIL_BYTES = 16_384
AT_ONCE = 8


class ProgressReader:
    """Keeps the last progress of every running Job.

    Attributes:
        known: By the Job's uid.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._room = asyncio.Semaphore(AT_ONCE)
        self.known: dict[str, Progress] = {}

    async def watch(self, pods: Callable[[], Iterable[Pod]], changed: Callable[[str], None], seconds: float) -> None:
        """Read for ever.

        Args:
            pods: The pods of all Jobs.
            changed: Told the uid of each video whose progress has changed.
            seconds: Pause between readings.
        """
        while True:
            await asyncio.sleep(seconds)
            running = [pod for pod in pods() if pod.phase == "Running" and pod.job_uid]
            jobs = {pod.job_uid for pod in running}
            self.known = {uid: progress for uid, progress in self.known.items() if uid in jobs}
            news = await asyncio.gather(*(self._read(pod) for pod in running))
            for pod, is_news in zip(running, news, strict=True):
                if is_news:
                    changed(pod.owner)

    async def _read(self, pod: Pod) -> bool:
        container = next((c.name for c in pod.containers if c.started and not c.ended), None)
        if container is None:
            return False
        async with self._room:
            try:
                tail = await self._api.log_tail(pod.namespace, pod.name, container, TAIL_BYTES)
            except ApiError as error:
                logger.debug("log of %s: %s", pod.name, error)
                return False
        latest = ProgressLine.latest(tail)
        if latest is None or latest == self.known.get(pod.job_uid):
            return False
        self.known[pod.job_uid] = latest
        return True
