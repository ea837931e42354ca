"""From the number of GPUs that is asked for to what denoises with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.loop import Denoiser
from talkingvideo_worker.engines.infinitetalk.memory.loading import LoraSet, load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.machine import rendering_device
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, Machine, MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.networks import formats_of
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.speed.attention import set_attention
from talkingvideo_worker.engines.infinitetalk.speed.compiling import Prepare
from talkingvideo_worker.engines.infinitetalk.weights.reading import StoredTransformer

GPUS_FIELD = "spec.render.gpusPerChunk"

NCCL_BYTES = GB
"""What NCCL's channels and kernels take of each GPU, beside PyTorch's allocator: of the whole grid's group, and with four
GPUs and more of the two smaller ones [estimate]."""


class Help(Protocol):
    """The other GPUs, loading."""

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:
        """What denoises with a transformer and with their help."""
        ...


class NoHelp:
    """One GPU, or none."""

    def join(self, transformer: AudioWanTransformer3DModel) -> Denoiser:  # noqa: ARG002
        """``denoise`` itself."""
        return denoise


def rendering_devices(asked: int) -> tuple[str, ...]:
    """Names of the devices of as many processes, the first of them this one's.

    Args:
        asked: How many. One is the GPU, or the CPU where there is none; more are GPUs.

    Raises:
        StageError: E_PIPELINE_LOAD when there are fewer.
    """
    if asked == 1:
        return (str(rendering_device()),)
    found = torch.cuda.device_count()
    if found < asked:
        message = f"{asked} GPUs are asked for, and {found} can be seen here. Ask for as many as a node has."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, field=GPUS_FIELD, retryable=False)
    return tuple(f"cuda:{number}" for number in range(asked))


def recruit(
    stored: StoredTransformer,
    mode: MemoryMode,
    loras: LoraSet,
    layout: Layout,
    devices: Sequence[str],
    prepare: Prepare,
) -> Help:
    """Let the other GPUs of a layout load the transformer as this one will.

    Args:
        stored: Where it is.
        mode: How it is laid out in each GPU's memory.
        loras: What is merged into it.
        layout: How the work is divided.
        devices: At least as many as the layout has processes.
        prepare: Makes its blocks ready, here and there alike.
    """
    if layout.ranks == 1:
        return NoHelp()
    # Here, because torch.distributed is of no use to one GPU.
    from talkingvideo_worker.engines.infinitetalk.parallel.crew import Crew

    return Crew(_Load(stored, mode, loras, prepare), layout, devices)


def share_of(machine: Machine, layout: Layout) -> Machine:
    """What is free for each of a layout's processes: every one has a GPU, whose NCCL takes its part, and all one host."""
    host, gpu = machine.host_bytes // layout.ranks, machine.gpu_bytes
    if gpu is None or layout.ranks == 1:
        return replace(machine, host_bytes=host)
    return Machine(max(0, gpu - NCCL_BYTES), host)


class _Load:
    """Loads a transformer to the current GPU as ``build_networks`` does, in whichever process it is called."""

    def __init__(self, stored: StoredTransformer, mode: MemoryMode, loras: LoraSet, prepare: Prepare) -> None:
        self._stored, self._mode, self._loras, self._prepare = stored, mode, loras, prepare

    def __call__(self) -> AudioWanTransformer3DModel:
        device = rendering_device()
        transformer, _reading = load_transformer(
            self._stored, self._mode, formats_of(device).dtype, device, self._loras
        )
        set_attention(transformer, device)
        self._prepare(transformer)
        return transformer
