"""Loads the transformer in a memory mode: each weight is read, merged with LoRAs, quantised and placed in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.offloading import Placement
from talkingvideo_worker.engines.infinitetalk.memory.quantization import quantizer_for
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.loras import merge_loras, open_loras
from talkingvideo_worker.engines.infinitetalk.weights.transformer import StoredTransformer, read_weights
from talkingvideo_worker.progress import ProgressCallback, ignore_progress

REPORTS = 20
"""How often progress is reported."""


@dataclass(frozen=True)
class LoadStats:
    """How long loading took.

    Attributes:
        bytes: On the disk.
        seconds: Wall time, including merging, quantising and placing.
    """

    bytes: int
    seconds: float

    def __str__(self) -> str:
        """For people: ``37.8 GB in 21 s (1.80 GB/s)``."""
        rate = self.bytes / 1e9 / max(self.seconds, 1e-9)
        return f"{self.bytes / 1e9:.3g} GB in {self.seconds:.3g} s ({rate:.2f} GB/s)"


@dataclass(frozen=True)
class LoraSet:
    """LoRAs in the order in which they are applied, and the folder of weights with those that are given by name."""

    loras: Sequence[LoraFile] = ()
    folder: Path = Path()


NO_LORAS = LoraSet()


def load_transformer(
    stored: StoredTransformer,
    mode: MemoryMode,
    dtype: torch.dtype,
    device: torch.device,
    loras: LoraSet = NO_LORAS,
    progress: ProgressCallback = ignore_progress,
) -> tuple[AudioWanTransformer3DModel, LoadStats]:
    """Load a transformer in a memory mode. LoRAs are merged before weights are quantised.

    Each weight is in memory once; in addition there are the few layers that are being read.

    Args:
        stored: The files.
        mode: The memory mode.
        dtype: Of the weights that are not quantised; see ``dtype_of``.
        device: Where it renders.
        loras: Merged into it.
        progress: Called while it loads.

    Raises:
        StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape, or LoRAs do not fit.
        MemoryError: When the host cannot hold the offloaded blocks.
    """
    started = time.monotonic()
    model = stored.empty(dtype)
    total = len(model.state_dict())
    quantizer = quantizer_for(mode.quantization, device)
    with open_loras(model, loras.loras, loras.folder) as opened:
        if quantizer is not None:
            quantizer.prepare(model)
        placement = Placement(model, mode, device)
        changed = quantizer is not None or bool(opened)

        def device_of(name: str) -> torch.device:
            """Where a weight is changed, or where it stays when none is."""
            return device if changed else placement.device_of(name)

        for number, (name, weight) in enumerate(read_weights(stored, dtype, device_of), 1):
            merged = merge_loras(name, weight, opened)
            tensors = {name: merged} if quantizer is None else quantizer.quantize(name, merged, model)
            for tensor_name, value in tensors.items():
                placement.put(tensor_name, value)
            if number * REPORTS // total != (number - 1) * REPORTS // total:
                progress(number / total, "Loading the transformer")
    placement.finish()
    return model, LoadStats(stored.bytes, time.monotonic() - started)
