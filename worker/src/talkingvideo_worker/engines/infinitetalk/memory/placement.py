"""Where each weight of the transformer goes in a memory mode, as it comes from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.memory.modes import SLOTS, MemoryMode, waiting_blocks
from talkingvideo_worker.engines.infinitetalk.memory.streaming import BlockLayout, StreamedBlocks, assign, lane_of
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel


class Placement:
    """Takes a transformer's weights one by one, in any order.

    Args:
        model: On the meta device, in the formats in which weights will come.
        mode: Which blocks wait in host memory.
        device: Where the others go.
    """

    def __init__(self, model: AudioWanTransformer3DModel, mode: MemoryMode, device: torch.device) -> None:
        self._model, self._device = model, device
        blocks = list(model.blocks)
        self._layout = BlockLayout.of(blocks[0])
        self._missing = set(model.state_dict())
        with _host_memory():
            self._waiting = {
                number: torch.empty(self._layout.size, dtype=torch.uint8, pin_memory=device.type == "cuda")
                for number in waiting_blocks(len(blocks), mode.resident)
            }
        self._views = {
            f"blocks.{number}.{name}": view
            for number, bytes in self._waiting.items()
            for name, view in self._layout.views(bytes).items()
        }

    def device_of(self, name: str) -> torch.device:
        """Where a weight stays."""
        return torch.device("cpu") if name in self._views else self._device

    def put(self, name: str, value: Tensor) -> None:
        """Place one weight."""
        if name in self._views:
            self._views[name].copy_(value)
        else:
            assign(self._model, name, value.to(self._device))
        self._missing.discard(name)

    def finish(self) -> None:
        """All weights have come.

        Raises:
            StageError: E_PIPELINE_LOAD when some have not.
        """
        if self._missing:
            message = f"The base lacks {len(self._missing)} weights, such as {min(self._missing)}."
            raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
        if self._waiting:
            slots = [
                torch.empty(self._layout.size, dtype=torch.uint8, device=self._device)
                for _ in range(min(SLOTS, len(self._waiting)))
            ]
            blocks = list(self._model.blocks)
            self._model.blocks = StreamedBlocks(blocks, self._waiting, slots, lane_of(slots))
        self._model.rope.to(self._device)


@contextmanager
def _host_memory() -> Iterator[None]:
    """Say what lacks when pinned memory runs out: CUDA calls it its own."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise MemoryError(f"no pinned host memory for the blocks that wait ({error})") from error
