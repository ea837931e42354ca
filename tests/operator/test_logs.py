"""Progress from logs: best effort."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from tests.operator.fake_cluster import START

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress, ProgressLine
from talkingvideo_clients.kube.api import ApiError
from talkingvideo_clients.kube.objects import Container, Pod
from talkingvideo_operator.logs import ProgressReader

POD = Pod(
    "p", "ns", "pod", "video", "job", 1, "Running", START, containers=(Container("render", init=False, started=START),)
)


def line(fraction: float) -> str:
    return ProgressLine(progress=Progress(stage=Stage.RENDER, fraction=fraction)).to_json()


class Logs:
    def __init__(self, *tails: str | ApiError) -> None:
        self.tails: Iterator[str | ApiError] = iter(tails)

    async def log_tail(self, *_: object) -> str:
        tail = next(self.tails)
        if isinstance(tail, ApiError):
            raise tail
        return tail


def read(*tails: str | ApiError) -> tuple[ProgressReader, list[str]]:
    api: Any = Logs(*tails)
    reader, enqueued = ProgressReader(api), list[str]()

    async def run() -> None:
        watching = asyncio.create_task(reader.poll(lambda: [POD], enqueued.append, 0.001))
        await asyncio.wait([watching])

    with pytest.raises((RuntimeError, StopIteration, StopAsyncIteration, AssertionError)):
        asyncio.run(run())
        raise AssertionError("the tails are used up")
    return reader, enqueued


def test_the_last_line_counts_and_only_a_change_enqueues_the_video() -> None:
    reader, enqueued = read(f"{line(0.1)}\nnoise\n{line(0.5)}\n", f"{line(0.5)}\n", f"{line(0.7)}\n")
    assert reader.latest["job"].fraction == 0.7
    assert enqueued == ["video", "video"]


def test_a_log_that_cannot_be_read_is_no_error() -> None:
    reader, enqueued = read(ApiError(403, "forbidden"), "no progress here\n", '{"progress": broken')
    assert reader.latest == {}
    assert enqueued == []
