"""Block swap: blocks offloaded to pinned host memory are prefetched on a stream while other blocks compute.

diffusers' group offloading is for whole models: it has no resident blocks, moves what is outside the blocks off the GPU
between calls (where ``encode_audio`` and the step cache need it), and its hooks are inside what is compiled. Here each
offloaded block permanently belongs to one of a few slots on the GPU. Its weights are views of the slot, whose content is
swapped between iterations of the loop over blocks: no allocation, no hooks, and the same code for any number of resident
blocks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.modes import BLOCK_SLOTS, MemoryMode, offloaded_numbers
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

ALIGNMENT = 256
"""Bytes: kernels read aligned tensors faster, and so do copies."""


@dataclass(frozen=True)
class TensorSlice:
    """Where a tensor lies in a block's buffer."""

    offset: int
    shape: torch.Size
    dtype: torch.dtype

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * self.dtype.itemsize

    def view_of(self, buffer: Tensor) -> Tensor:
        """The tensor in a buffer, as a view."""
        return buffer[self.offset : self.offset + self.bytes].view(self.dtype).view(self.shape)


@dataclass(frozen=True)
class BlockLayout:
    """How all weights of a block are packed into one buffer, so that one copy moves them.

    Attributes:
        slices: By name.
        size: Bytes.
    """

    slices: Mapping[str, TensorSlice]
    size: int

    @classmethod
    def of(cls, block: nn.Module) -> BlockLayout:
        """The layout of a block's weights, which may be on the meta device."""
        slices, offset = {}, 0
        for name, value in block.state_dict().items():
            slices[name] = TensorSlice(offset, value.shape, value.dtype)
            offset += -(-slices[name].bytes // ALIGNMENT) * ALIGNMENT
        return cls(slices, offset)

    def views(self, buffer: Tensor) -> dict[str, Tensor]:
        """A block's weights in a buffer, by name."""
        return {name: place.view_of(buffer) for name, place in self.slices.items()}


class BlockPrefetcher(Protocol):
    """Copies offloaded blocks from host memory into slots, in order with the computation that uses the slots."""

    def prefetch(self, slot: int, source: Tensor) -> None:
        """Start to fill a slot, after everything that was started before has been computed."""
        ...

    def wait(self, slot: int) -> None:
        """Make the computation that is started from now on wait until the slot is filled."""
        ...


class SynchronousPrefetcher:
    """Copies immediately.

    Args:
        slots: The buffer of each.
    """

    def __init__(self, slots: Sequence[Tensor]) -> None:
        self._slots = slots

    def prefetch(self, slot: int, source: Tensor) -> None:
        """Fill a slot."""
        self._slots[slot].copy_(source)

    def wait(self, slot: int) -> None:
        """Does nothing: the slot is filled already."""


class StreamPrefetcher:
    """Copies from pinned memory on a stream of its own, concurrently with the computation.

    Args:
        slots: The buffer of each, on one GPU.
    """

    def __init__(self, slots: Sequence[Tensor]) -> None:
        self._slots = slots
        self._copy_stream: Any = torch.cuda.Stream(slots[0].device)
        for slot in slots:
            slot.record_stream(self._copy_stream)  # when it is freed, a copy may still run for a call that never comes
        self._filled = [torch.cuda.Event() for _ in slots]

    def prefetch(self, slot: int, source: Tensor) -> None:
        """Start to fill a slot, after everything that was started before has been computed."""
        self._copy_stream.wait_stream(self._compute_stream)
        with torch.cuda.stream(self._copy_stream):
            self._slots[slot].copy_(source, non_blocking=True)
            self._filled[slot].record(self._copy_stream)

    def wait(self, slot: int) -> None:
        """Make the current stream wait until the slot is filled."""
        self._compute_stream.wait_event(self._filled[slot])

    @property
    def _compute_stream(self) -> Any:
        return torch.cuda.current_stream(self._slots[0].device)


class OffloadedBlocks(nn.ModuleList):
    """A transformer's blocks, of which some are offloaded: their weights are valid while the iteration is at them.

    Args:
        blocks: All blocks; the weights of the offloaded ones are replaced by views of the slots.
        offloaded: The buffers of the offloaded blocks in host memory, by number.
        slots: Buffers on the GPU, for one offloaded block each.
        prefetcher: Fills the slots.
    """

    def __init__(
        self,
        blocks: Sequence[nn.Module],
        offloaded: Mapping[int, Tensor],
        slots: Sequence[Tensor],
        prefetcher: BlockPrefetcher,
    ) -> None:
        super().__init__(blocks)
        self._offloaded, self._prefetcher = dict(offloaded), prefetcher
        self._order = sorted(offloaded)
        self._held: list[int | None] = [None] * len(slots)
        for turn, number in enumerate(self._order):
            block = blocks[number]
            views = BlockLayout.of(block).views(slots[turn % len(slots)])
            for name, view in views.items():
                assign(block, name, view)
        for slot, number in enumerate(self._order[: len(slots)]):
            self._prefetch(slot, number)

    def __iter__(self) -> Iterator[nn.Module]:
        """Each block in turn; the next offloaded ones are prefetched while it is used."""
        turns = {number: turn for turn, number in enumerate(self._order)}
        for number, block in enumerate(super().__iter__()):
            if number not in turns:
                yield block
                continue
            turn, slot = turns[number], turns[number] % len(self._held)
            if self._held[slot] != number:
                self._prefetch(slot, number)
            self._prefetcher.wait(slot)
            yield block
            self._prefetch(slot, self._next_in_slot(turn))

    def _next_in_slot(self, turn: int) -> int:
        """The next block of the same slot; after the last one, the first one of the next call."""
        slots = len(self._held)
        later = turn + slots
        return self._order[later if later < len(self._order) else turn % slots]

    def _prefetch(self, slot: int, number: int) -> None:
        if self._held[slot] != number:
            self._held[slot] = number
            self._prefetcher.prefetch(slot, self._offloaded[number])


def make_prefetcher(slots: Sequence[Tensor]) -> BlockPrefetcher:
    """The prefetcher for the device of some slots."""
    return StreamPrefetcher(slots) if slots[0].is_cuda else SynchronousPrefetcher(slots)


def assign(module: nn.Module, name: str, value: Tensor) -> None:
    """Make a tensor one of a module's weights, without copying it."""
    owner, _, leaf = name.rpartition(".")
    target = module.get_submodule(owner)
    if leaf in target._buffers:
        target._buffers[leaf] = value
    else:
        target._parameters[leaf] = nn.Parameter(value, requires_grad=False)


class Placement:
    """Puts a transformer's weights where a memory mode wants them, one by one and in any order.

    Args:
        model: On the meta device, in the formats of the weights to come.
        mode: Determines which blocks are offloaded.
        device: Of all other weights.
    """

    def __init__(self, model: AudioWanTransformer3DModel, mode: MemoryMode, device: torch.device) -> None:
        self._model, self._device = model, device
        blocks = list(model.blocks)
        self._layout = BlockLayout.of(blocks[0])
        self._missing = set(model.state_dict())
        with _pinned_memory():
            self._offloaded = {
                number: torch.empty(self._layout.size, dtype=torch.uint8, pin_memory=device.type == "cuda")
                for number in offloaded_numbers(len(blocks), mode.resident)
            }
        self._views = {
            f"blocks.{number}.{name}": view
            for number, buffer in self._offloaded.items()
            for name, view in self._layout.views(buffer).items()
        }

    def device_of(self, name: str) -> torch.device:
        """The device of a weight."""
        return torch.device("cpu") if name in self._views else self._device

    def put(self, name: str, value: Tensor) -> None:
        """Place one weight."""
        if name in self._views:
            self._views[name].copy_(value)
        else:
            assign(self._model, name, value.to(self._device))
        self._missing.discard(name)

    def finish(self) -> None:
        """Complete the model after the last weight.

        Raises:
            StageError: E_PIPELINE_LOAD when weights are missing.
        """
        if self._missing:
            message = f"The base lacks {len(self._missing)} weights, such as {min(self._missing)}."
            raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
        if self._offloaded:
            slots = [
                torch.empty(self._layout.size, dtype=torch.uint8, device=self._device)
                for _ in range(min(BLOCK_SLOTS, len(self._offloaded)))
            ]
            blocks = list(self._model.blocks)
            self._model.blocks = OffloadedBlocks(blocks, self._offloaded, slots, make_prefetcher(slots))
        self._model.rope.to(self._device)


@contextmanager
def _pinned_memory() -> Iterator[None]:
    """Report exhausted pinned memory as the host's: CUDA reports it as its own."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise MemoryError(f"no pinned host memory for offloaded blocks ({error})") from error


class OffloadedEncoder:
    """A network that is on the device only while it is used.

    Args:
        model: On the CPU.
        use: Calls the network, such as an encoder made of it.
        device: Where it computes.
    """

    def __init__(self, model: nn.Module, use: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._model, self._use, self._device = model, use, device

    def __call__(self, value: Tensor) -> Tensor:
        """Call the network; the result is on the CPU."""
        self._model.to(self._device)
        try:
            return self._use(value).cpu()
        finally:
            self._model.to("cpu")
