"""Blocks that wait in pinned host memory and come to the GPU one ahead of the calculation.

diffusers' group offloading moves whole models so: it has no resident blocks, takes what is outside the blocks off the
GPU between calls (where ``hear`` and the step cache need it), and its hooks sit inside what is compiled. Here each
waiting block belongs to one of a few slots on the GPU for good. Its weights are views of the slot, whose contents are
exchanged between the loop's turns: no allocation, no hooks, and the same code for any number of resident blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

ALIGNMENT = 256
"""Bytes: kernels read aligned tensors faster, and copies too."""


@dataclass(frozen=True)
class Part:
    """Where a tensor lies in a block's bytes."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize

    def of(self, bytes: Tensor) -> Tensor:
        """The tensor, as a view."""
        return bytes[self.offset : self.offset + self.bytes].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class BlockLayout:
    """How all weights of a block lie behind each other, so that one copy brings them.

    Attributes:
        parts: By name.
        size: Bytes.
    """

    parts: Mapping[str, Part]
    size: int

    @classmethod
    def of(cls, block: nn.Module) -> BlockLayout:
        """The layout of a block's weights, which may be on the meta device."""
        parts, offset = {}, 0
        for name, value in block.state_dict().items():
            parts[name] = Part(offset, value.shape, value.dtype)
            offset += -(-parts[name].bytes // ALIGNMENT) * ALIGNMENT
        return cls(parts, offset)

    def views(self, bytes: Tensor) -> dict[str, Tensor]:
        """A block's weights in some bytes."""
        return {name: part.of(bytes) for name, part in self.parts.items()}


class Lane(Protocol):
    """Brings bytes from host memory into slots, in order with what calculates there."""

    def fetch(self, slot: int, source: Tensor) -> None:
        """Start to fill a slot, once all that was started before has been calculated."""
        ...

    def wait(self, slot: int) -> None:
        """Let what is calculated from now on wait until the slot is filled."""
        ...


class DirectLane:
    """Copies at once.

    Args:
        slots: Bytes of each.
    """

    def __init__(self, slots: Sequence[Tensor]) -> None:
        self._slots = slots

    def fetch(self, slot: int, source: Tensor) -> None:
        """Fill a slot."""
        self._slots[slot].copy_(source)

    def wait(self, slot: int) -> None:
        """It is filled already."""


class CudaLane:
    """Copies from pinned memory on a stream of its own, beside the calculation.

    Args:
        slots: Bytes of each, on one GPU.
    """

    def __init__(self, slots: Sequence[Tensor]) -> None:
        self._slots = slots
        self._copies: Any = torch.cuda.Stream(slots[0].device)
        for slot in slots:
            slot.record_stream(self._copies)  # when it is freed, a copy may be on its way for a call that never comes
        self._filled = [torch.cuda.Event() for _ in slots]

    def fetch(self, slot: int, source: Tensor) -> None:
        """Start to fill a slot, once all that was started before has been calculated."""
        self._copies.wait_stream(self._calculation)
        with torch.cuda.stream(self._copies):
            self._slots[slot].copy_(source, non_blocking=True)
            self._filled[slot].record(self._copies)

    def wait(self, slot: int) -> None:
        """Let the current stream wait until the slot is filled."""
        self._calculation.wait_event(self._filled[slot])

    @property
    def _calculation(self) -> Any:
        return torch.cuda.current_stream(self._slots[0].device)


class StreamedBlocks(nn.ModuleList):
    """A transformer's blocks, of which some wait in host memory: their weights are right while the loop is at them.

    Args:
        blocks: All of them; the weights of the waiting ones are replaced by views of the slots.
        waiting: Bytes of those that wait, by number.
        slots: Bytes on the GPU for one waiting block each.
        lane: Fills the slots.
    """

    def __init__(
        self, blocks: Sequence[nn.Module], waiting: Mapping[int, Tensor], slots: Sequence[Tensor], lane: Lane
    ) -> None:
        super().__init__(blocks)
        self._waiting, self._lane = dict(waiting), lane
        self._order = sorted(waiting)
        self._held: list[int | None] = [None] * len(slots)
        for turn, number in enumerate(self._order):
            block = blocks[number]
            views = BlockLayout.of(block).views(slots[turn % len(slots)])
            for name, view in views.items():
                assign(block, name, view)
        for slot, number in enumerate(self._order[: len(slots)]):
            self._fetch(slot, number)

    def __iter__(self) -> Iterator[nn.Module]:
        """Each block in turn; the next ones are on their way while it is used."""
        turns = {number: turn for turn, number in enumerate(self._order)}
        for number, block in enumerate(super().__iter__()):
            if number not in turns:
                yield block
                continue
            turn, slot = turns[number], turns[number] % len(self._held)
            if self._held[slot] != number:
                self._fetch(slot, number)
            self._lane.wait(slot)
            yield block
            self._fetch(slot, self._following(turn))

    def _following(self, turn: int) -> int:
        """The next block that belongs into the same slot; behind the last, the first of the next call."""
        slots = len(self._held)
        later = turn + slots
        return self._order[later if later < len(self._order) else turn % slots]

    def _fetch(self, slot: int, number: int) -> None:
        if self._held[slot] != number:
            self._held[slot] = number
            self._lane.fetch(slot, self._waiting[number])


def lane_of(slots: Sequence[Tensor]) -> Lane:
    """How bytes come to the device of some slots."""
    return CudaLane(slots) if slots[0].is_cuda else DirectLane(slots)


def assign(module: nn.Module, name: str, value: Tensor) -> None:
    """Make a tensor one of a module's weights, without a copy."""
    owner, _, leaf = name.rpartition(".")
    target = module.get_submodule(owner)
    if leaf in target._buffers:
        target._buffers[leaf] = value
    else:
        target._parameters[leaf] = nn.Parameter(value, requires_grad=False)
