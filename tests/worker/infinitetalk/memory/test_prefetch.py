"""Blocks are prefetched in order with the computation: shown with stand-ins for the GPU's streams, which log."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch

from talkingvideo_worker.engines.infinitetalk.memory.offloading import StreamPrefetcher


class Stream:
    """A stream of a GPU: logs what it waits for."""

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
    entries: list[str] = []
    computing, copying = Stream("computation", entries), Stream("copies", entries)

    def within(stream: Stream) -> AbstractContextManager[None]:
        assert stream is copying
        return nullcontext()

    stand_ins: dict[str, Any] = {
        "Stream": lambda _device: copying, "current_stream": lambda _device: computing, "stream": within,
        "Event": Event,
    }  # fmt: skip
    for name, stand_in in stand_ins.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return entries


def test_a_slot_is_filled_after_earlier_computation_and_read_after_the_copy(log: list[str]) -> None:
    """After all earlier computation: an interrupted call may still be reading the slot."""
    slot: Any = Slot(log)
    prefetcher = StreamPrefetcher([slot])
    log.clear()
    source: Any = "block 3"
    prefetcher.prefetch(0, source)
    prefetcher.wait(0)
    assert log == ["copies waits for computation", "copy block 3", "computation waits for copies"]


def test_the_memory_of_a_slot_is_not_reused_before_a_running_copy_has_ended(log: list[str]) -> None:
    """The last call has started a copy for the next one, which would write into memory that belongs to other tensors."""
    slots: Any = [Slot(log), Slot(log)]
    StreamPrefetcher(slots)
    assert [slot.used_by for slot in slots] == [{"copies"}, {"copies"}]
