"""Progress from logs and events: best effort, and quiet."""

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import START, FakeCluster

from talkingvideo_api.conditions import Reason
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Progress, ProgressLine
from talkingvideo_clients.kube.api import ApiError
from talkingvideo_clients.kube.objects import Container, Pod
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.logs import ProgressReader
from talkingvideo_operator.planning.decision import Event

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
    reader, marked = ProgressReader(api), list[str]()

    async def run() -> None:
        watching = asyncio.create_task(reader.poll(lambda: [POD], marked.append, 0.001))
        await asyncio.wait([watching])

    with pytest.raises((RuntimeError, StopIteration, StopAsyncIteration, AssertionError)):
        asyncio.run(run())
        raise AssertionError("the tails are used up")
    return reader, marked


def test_the_last_line_counts_and_only_news_marks_the_video() -> None:
    reader, marked = read(f"{line(0.1)}\nnoise\n{line(0.5)}\n", f"{line(0.5)}\n", f"{line(0.7)}\n")
    assert reader.latest["job"].fraction == 0.7
    assert marked == ["video", "video"]


def test_a_log_that_cannot_be_read_is_unknown_and_no_error() -> None:
    reader, marked = read(ApiError(403, "forbidden"), "no progress here\n", '{"progress": broken')
    assert reader.latest == {}
    assert marked == []


def test_the_same_event_is_told_once() -> None:
    api: Any = FakeApi()
    recorder = EventRecorder(api, "test")
    video = FakeCluster().video
    event = Event(Reason.PREPARED, "5 chunks")

    async def scenario() -> None:
        posting = asyncio.create_task(recorder.post())
        recorder.record(video, (event, event))
        recorder.record(video, (event, Event(Reason.PREPARED, "other")))
        await asyncio.sleep(0.01)
        posting.cancel()

    asyncio.run(scenario())
    assert api.calls == ["create events", "create events"]


def test_an_event_that_cannot_be_posted_stops_nothing() -> None:
    api: Any = FakeApi()
    api.refuse["create events"] = ApiError(500, "no")
    recorder = EventRecorder(api, "test")

    async def scenario() -> bool:
        posting = asyncio.create_task(recorder.post())
        recorder.record(FakeCluster().video, (Event(Reason.PREPARED, "a"),))
        await asyncio.sleep(0.01)
        alive = not posting.done()
        posting.cancel()
        return alive

    assert asyncio.run(scenario())


def test_what_stays_wrong_is_told_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    recorder = EventRecorder(FakeApi(), "test")  # type: ignore[arg-type]
    for _ in range(11):
        recorder.record(FakeCluster().video, (Event(Reason.CREATE_REFUSED, "403: quota"),))
        clock += 60
    assert recorder._pending.qsize() == 3
