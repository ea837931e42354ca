"""Starts the workers that a number of GPUs needs; without torch.distributed where there is only one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.attention import select_attention_backend
from talkingvideo_worker.engines.infinitetalk.compiling import BlockPreparation
from talkingvideo_worker.engines.infinitetalk.memory.loading import LoraSet, load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.machine import formats_of, render_device
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, FreeMemory, MemoryMode
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Denoiser, denoise
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.transformer import StoredTransformer

GPUS_FIELD = "spec.render.gpusPerChunk"

NCCL_BYTES = GB
"""What NCCL's channels and kernels take of each GPU outside of PyTorch's allocator: for the default group, and with four
GPUs and more for the two smaller ones [estimate]."""


class DenoisingGroup(Protocol):
    """The processes that denoise together."""

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:
        """Add this process, with its transformer; returns what denoises with the whole group."""
        ...


class SingleProcess:
    """The group of one process: one GPU, or none."""

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:  # noqa: ARG002
        """``denoise`` itself."""
        return denoise


def render_devices(gpus: int) -> tuple[str, ...]:
    """Names of the devices of all ranks, this process's first.

    Args:
        gpus: How many are requested. One is the GPU, or the CPU where there is none; more are GPUs.

    Raises:
        StageError: E_PIPELINE_LOAD when there are fewer.
    """
    if gpus == 1:
        return (str(render_device()),)
    available = torch.cuda.device_count()
    if available < gpus:
        message = f"{gpus} GPUs are requested, but {available} are visible here. Request as many as a node has."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field=GPUS_FIELD, retryable=False)
    return tuple(f"cuda:{number}" for number in range(gpus))


def launch_workers(
    stored: StoredTransformer,
    mode: MemoryMode,
    loras: LoraSet,
    config: ParallelConfig,
    devices: Sequence[str],
    prepare: BlockPreparation,
) -> DenoisingGroup:
    """Start the workers, which load the transformer while this process does.

    Args:
        stored: The transformer's files.
        mode: The memory mode of each GPU.
        loras: Merged into the transformer.
        config: How the work is divided.
        devices: At least as many as there are ranks.
        prepare: Prepares the transformer's blocks, the same way in all ranks.
    """
    if config.world_size == 1:
        return SingleProcess()
    # Imported here because one GPU does not need torch.distributed.
    from talkingvideo_worker.engines.infinitetalk.parallel.group import WorkerGroup

    return WorkerGroup(_LoadTransformer(stored, mode, loras, prepare), config, devices)


def free_memory_per_rank(free: FreeMemory, config: ParallelConfig) -> FreeMemory:
    """The free memory of each rank: it has a GPU of its own, of which NCCL takes a part, and a share of the host."""
    host, gpu = free.host_bytes // config.world_size, free.gpu_bytes
    if gpu is None or config.world_size == 1:
        return replace(free, host_bytes=host)
    return FreeMemory(max(0, gpu - NCCL_BYTES), host)


@dataclass(frozen=True)
class _LoadTransformer:
    """Loads a transformer to the current GPU, as ``loader.build_networks`` does, in the process in which it is called."""

    stored: StoredTransformer
    mode: MemoryMode
    loras: LoraSet
    prepare: BlockPreparation

    def __call__(self) -> AudioWanTransformer3DModel:
        device = render_device()
        transformer, _stats = load_transformer(self.stored, self.mode, formats_of(device).dtype, device, self.loras)
        select_attention_backend(transformer, device)
        self.prepare(transformer)
        return transformer
