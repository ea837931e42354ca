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
from talkingvideo_worker.engines.infinitetalk.memory.modes import Machine, MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.networks import formats_of
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.speed.attention import set_attention
from talkingvideo_worker.engines.infinitetalk.speed.compiling import Work, compile_if_worth
from talkingvideo_worker.engines.infinitetalk.weights.reading import StoredTransformer

GPUS_FIELD = "spec.render.gpusPerChunk"


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
    stored: StoredTransformer, mode: MemoryMode, loras: LoraSet, layout: Layout, devices: Sequence[str], work: Work
) -> Help:
    """Let the other GPUs of a layout load the transformer as this one will.

    Args:
        stored: Where it is.
        mode: How it is laid out in each GPU's memory.
        loras: What is merged into it.
        layout: How the work is divided.
        devices: At least as many as the layout has processes.
        work: Ahead of them, for which they may compile the model.
    """
    if layout.ranks == 1:
        return NoHelp()
    # Here, because torch.distributed is of no use to one GPU.
    from talkingvideo_worker.engines.infinitetalk.parallel.crew import Crew

    return Crew(_Load(stored, mode, loras, work), layout, devices)


def host_share(machine: Machine, layout: Layout) -> Machine:
    """What is free for each of a layout's processes: every one has a GPU, and they share the host."""
    return replace(machine, host_bytes=machine.host_bytes // layout.ranks)


class _Load:
    """Loads a transformer to the current GPU as ``build_networks`` does, in whichever process it is called."""

    def __init__(self, stored: StoredTransformer, mode: MemoryMode, loras: LoraSet, work: Work) -> None:
        self._stored, self._mode, self._loras, self._work = stored, mode, loras, work

    def __call__(self) -> AudioWanTransformer3DModel:
        device = rendering_device()
        transformer, _reading = load_transformer(
            self._stored, self._mode, formats_of(device).dtype, device, self._loras
        )
        set_attention(transformer, device)
        compile_if_worth(transformer, device, self._work)
        return transformer
