"""The transformer in a memory mode: read, merged, quantised and placed weight by weight."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.placement import Placement
from talkingvideo_worker.engines.infinitetalk.memory.quantised import quantisation_of
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.loras import merged, open_loras
from talkingvideo_worker.engines.infinitetalk.weights.reading import StoredTransformer, read_weights
from talkingvideo_worker.progress import ProgressCallback, ignore_progress

NOTES = 20
"""How often progress is told."""


@dataclass(frozen=True)
class Reading:
    """How long it took.

    Attributes:
        bytes: On the disk.
        seconds: Wall time, with merging, quantising and placing.
    """

    bytes: int
    seconds: float

    def __str__(self) -> str:
        """For people: ``37.8 GB in 21 s (1.80 GB/s)``."""
        rate = self.bytes / 1e9 / max(self.seconds, 1e-9)
        return f"{self.bytes / 1e9:.3g} GB in {self.seconds:.3g} s ({rate:.2f} GB/s)"


@dataclass(frozen=True)
class LoraSet:
    """LoRAs, in the order in which they are applied, and the folder of weights for those that are named in it."""

    loras: Sequence[LoraFile] = ()
    folder: Path = Path()


NO_LORAS = LoraSet()


def load_transformer(
    stored: StoredTransformer,
    mode: MemoryMode,
    dtype: torch.dtype,
    device: torch.device,
    loras: LoraSet = NO_LORAS,
    note: ProgressCallback = ignore_progress,
) -> tuple[AudioWanTransformer3DModel, Reading]:
    """Read a transformer into a memory mode. LoRAs are merged before anything is quantised.

    Each weight is in memory once. Beside them are the few layers on their way.

    Args:
        stored: Where it is.
        mode: How it is laid out.
        dtype: Of the weights that are not quantised; see ``dtype_of``.
        device: Where it renders.
        loras: What is merged into it.
        note: Told how far it is.

    Raises:
        StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape, or LoRAs do not fit.
        MemoryError: When the host cannot hold the blocks that wait.
    """
    started = time.monotonic()
    model = stored.empty(dtype)
    total = len(model.state_dict())
    quantisation = quantisation_of(mode.precision, device)
    with open_loras(model, loras.loras, loras.folder) as opened:
        if quantisation is not None:
            quantisation.prepare(model)
        placement = Placement(model, mode, device)
        changed = quantisation is not None or bool(opened)

        def device_of(name: str) -> torch.device:
            """Where a weight is changed, or else where it stays."""
            return device if changed else placement.device_of(name)

        for number, (name, weight) in enumerate(read_weights(stored, dtype, device_of), 1):
            whole = merged(name, weight, opened)
            parts = {name: whole} if quantisation is None else quantisation.codes(name, whole, model)
            for part, value in parts.items():
                placement.put(part, value)
            if number * NOTES // total != (number - 1) * NOTES // total:
                note(number / total, "Loading the transformer")
    placement.finish()
    return model, Reading(stored.bytes, time.monotonic() - started)
