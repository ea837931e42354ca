"""Blocks come to a GPU in order with what calculates there: shown with stand-ins for its streams, which note down."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch

from talkingvideo_worker.engines.infinitetalk.memory.streaming import CudaLane


class Stream:
    """A stream of a GPU: notes what it waits for."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wait_stream(self, other: Stream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")

    def wait_event(self, event: Event) -> None:
        self.log.append(f"{self.name} waits for {event.recorded}")


class Event:
    recorded = "nothing"

    def record(self, stream: Stream) -> None:
        self.recorded = stream.name


class Slot:
    """Memory of a GPU."""

    device = "cuda:0"

    def __init__(self, log: list[str]) -> None:
        self.log, self.used_by = log, set[str]()

    def copy_(self, source: object, *, non_blocking: bool) -> None:
        assert non_blocking
        self.log.append(f"copy {source}")

    def record_stream(self, stream: Stream) -> None:
        self.used_by.add(stream.name)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    notes: list[str] = []
    calculating, copying = Stream("calculation", notes), Stream("copies", notes)

    def within(stream: Stream) -> AbstractContextManager[None]:
        assert stream is copying
        return nullcontext()

    stand_ins: dict[str, Any] = {
        "Stream": lambda _device: copying, "current_stream": lambda _device: calculating, "stream": within,
        "Event": Event,
    }  # fmt: skip
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return notes


def test_a_slot_is_filled_after_what_was_started_before_and_read_after_that(log: list[str]) -> None:
    """All that was started: a call that was broken off may still be reading it."""
    slot: Any = Slot(log)
    lane = CudaLane([slot])
    log.clear()
    source: Any = "block 3"
    lane.fetch(0, source)
    lane.wait(0)
    assert log == ["copies waits for calculation", "copy block 3", "calculation waits for copies"]


def test_a_slot_that_is_given_back_waits_for_a_copy_on_its_way(log: list[str]) -> None:
    """Else its memory would be somebody else's when the copy comes: the last call has started one for the next."""
    slots: Any = [Slot(log), Slot(log)]
    CudaLane(slots)
    assert [slot.used_by for slot in slots] == [{"copies"}, {"copies"}]
