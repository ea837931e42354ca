"""Events: best effort, and not repeated."""

import asyncio
import time
from typing import Any

import pytest
from tests.operator.fake_api import FakeApi
from tests.operator.fake_cluster import FakeCluster

from talkingvideo_api.conditions import Reason
from talkingvideo_clients.kube.api import ApiError
from talkingvideo_operator.events import EventRecorder
from talkingvideo_operator.planning.decision import Event


def test_the_same_event_is_recorded_once() -> None:
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


def test_an_event_that_cannot_be_posted_does_not_stop_the_recorder() -> None:
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


def test_a_lasting_problem_is_recorded_again_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    recorder = EventRecorder(FakeApi(), "test")  # type: ignore[arg-type]
    for _ in range(11):
        recorder.record(FakeCluster().video, (Event(Reason.CREATE_REFUSED, "403: quota"),))
        clock += 60
    assert recorder._pending.qsize() == 3


def test_a_note_has_no_more_bytes_than_the_api_server_accepts() -> None:
    recorder = EventRecorder(FakeApi(), "test")  # type: ignore[arg-type]
    recorder.record(FakeCluster().video, (Event(Reason.RETRYING, "話" * 100_000),))
    video, event = recorder._pending.get_nowait()
    note = str(recorder._body(video, event)["note"])
    assert len(note.encode()) <= 1_024
    assert note.endswith("…")
