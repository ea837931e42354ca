"""Merges LoRAs into the transformer's weights, before they are quantised: no cost per step.

``W' = W + Σ scale · (alpha / rank · up @ down + diff)``, computed in float32 and rounded once. A missing ``alpha`` equals
the rank, as the tools that write LoRAs mean it; the published code ignores ``alpha``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.headers import Shape, weight_names
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, rename_keys
from talkingvideo_worker.engines.infinitetalk.weights.lora_files import LoraChange, lora_path, read_lora

MERGEABLE = (torch.float32, torch.bfloat16, torch.float16)
"""Formats to which a change can be added; rounding to fewer bits comes afterwards."""


@dataclass(frozen=True)
class OpenLora:
    """A LoRA's file, read tensor by tensor.

    Attributes:
        file: The open file.
        changes: By our names of the weights.
        scale: How much of it is applied.
    """

    file: Any
    changes: dict[str, LoraChange]
    scale: float

    def add_to(self, name: str, weight: Tensor) -> None:
        """Add the change of one weight, in place.

        Args:
            name: Ours.
            weight: In float32, contiguous, on any device.
        """
        change = self.changes.get(name)
        if change is None:
            return
        if change.diff is not None:
            weight.add_(self._read(change.diff, weight), alpha=self.scale)
        if change.down is not None and change.up is not None:
            down, up = (self._read(key, weight).flatten(1) for key in (change.down, change.up))
            rank = down.shape[0]
            alpha = rank if change.alpha is None else float(self.file.get_tensor(change.alpha))
            weight.view(len(weight), -1).addmm_(up, down.view(rank, -1), alpha=self.scale * alpha / rank)

    def _read(self, key: str, like: Tensor) -> Tensor:
        tensor: Tensor = self.file.get_tensor(key)
        return tensor.to(like.device, torch.float32)


def merge_loras(name: str, weight: Tensor, loras: Sequence[OpenLora]) -> Tensor:
    """A weight with the changes of some LoRAs; for loaders that handle weights one by one.

    Args:
        name: Ours.
        weight: In float32, bfloat16 or float16.
        loras: See ``open_loras``.

    Returns:
        In the weight's dtype, on its device; the weight itself when no LoRA changes it.

    Raises:
        ValueError: For a weight in a quantised format.
    """
    if not any(name in lora.changes for lora in loras):
        return weight
    if weight.dtype not in MERGEABLE:
        raise ValueError(f"{name} is in {weight.dtype}: LoRAs are merged before weights are quantised")
    changed = weight.to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    for lora in loras:
        lora.add_to(name, changed)
    return changed.to(weight.dtype)


@contextmanager
def open_loras(
    transformer: AudioWanTransformer3DModel, loras: Sequence[LoraFile], folder: Path
) -> Iterator[list[OpenLora]]:
    """Open LoRA files for a transformer, whose weights may still be on ``meta``.

    Args:
        transformer: For names and shapes.
        loras: In the order in which they are applied.
        folder: Of the weights.

    Raises:
        StageError: E_PIPELINE_LOAD for a file that does not fit.
    """
    names = rename_keys(weight_names(transformer.config.num_layers), (*BASE, *ADAPTER))
    shapes: dict[str, Shape] = {name: tuple(value.shape) for name, value in transformer.named_parameters()}
    targets = {published: shapes[ours] for published, ours in names.items() if ours in shapes}
    with ExitStack() as stack:
        opened = []
        for lora in loras:
            path = lora_path(folder, lora)
            contents = read_lora(path, lora, targets)
            changes = {names[published]: change for published, change in contents.changes.items()}
            opened.append(OpenLora(stack.enter_context(_open(path, lora)), changes, lora.scale))
        yield opened


def _open(path: Path, lora: LoraFile) -> Any:
    try:
        return safe_open(path, framework="pt", device="cpu")
    except (OSError, SafetensorError) as error:
        message = f"The file of LoRA {lora.label} cannot be read: {error}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field=lora.field, retryable=False) from error
