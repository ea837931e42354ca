"""All networks in a memory mode, in the order that keeps the peak low.

The text encoder comes first, encodes the prompts, which are the same for all windows, and goes. The transformer comes
last, into what is left.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer

from talkingvideo_worker.engines.infinitetalk.conditioning.encoders import (
    ClipImageEncoder,
    UmT5TextEncoder,
    WanVideoCodec,
)
from talkingvideo_worker.engines.infinitetalk.loop import Encoders
from talkingvideo_worker.engines.infinitetalk.memory.loading import NO_LORAS, LoraSet, Reading, load_transformer
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_gpu_bytes, give_back_unused
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryMode, Surroundings
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.speed.attention import set_attention
from talkingvideo_worker.engines.infinitetalk.weights.loading import (
    load_image_encoder,
    load_text_encoder,
    load_video_codec,
)
from talkingvideo_worker.engines.infinitetalk.weights.reading import Sources
from talkingvideo_worker.progress import ProgressCallback, ignore_progress

TEXT_SPARE = 1.1
"""The text encoder's weights with what it calculates on 512 tokens."""


@dataclass(frozen=True)
class Formats:
    """Number formats on a device.

    Attributes:
        dtype: Of transformer, text and image encoder.
        decoding: Of the video codec's decoder. In bfloat16, with random weights, pixels are 0.7 of 255 levels off on
            average and 4.6 at most. Its encoder is in float32 (TF32 on GPUs), as it is published: what it makes is
            handed from window to window, where 0.8 % in bfloat16 would add up.
    """

    dtype: torch.dtype
    decoding: torch.dtype


def formats_of(device: torch.device) -> Formats:
    """A GPU's usual formats; the CPU is quicker, and exact, in float32."""
    usual = torch.bfloat16 if device.type == "cuda" else torch.float32
    return Formats(usual, usual)


@dataclass(frozen=True)
class BuiltNetworks:
    """What renders, and how it was read."""

    transformer: AudioWanTransformer3DModel
    encoders: Encoders
    reading: Reading


def build_networks(
    sources: Sources,
    prompts: Sequence[str],
    mode: MemoryMode,
    device: torch.device,
    loras: LoraSet = NO_LORAS,
    note: ProgressCallback = ignore_progress,
) -> BuiltNetworks:
    """Load all networks.

    Args:
        sources: Where they are.
        prompts: All that will be asked for.
        mode: How they are laid out.
        device: Where they render.
        loras: What is merged into the transformer.
        note: Told how far it is.

    Raises:
        StageError: E_PIPELINE_LOAD for weights that do not fit.
        MemoryError: When the host cannot hold the blocks that wait.
    """
    formats = formats_of(device)
    note(0.0, "Encoding the prompts")
    texts = encoded_prompts(sources, prompts, formats.dtype, text_device(sources.text_encoder, device))
    note(0.2, "Loading the image encoder")
    image = _image_encoder(sources.image_encoder, formats.dtype, mode, device)
    note(0.25, "Loading the video codec")
    video = load_video_codec(sources.video_codec, torch.float32, device)
    for part in (video.decoder, video.post_quant_conv):
        part.to(formats.decoding)
    if mode.surroundings is Surroundings.FRUGAL:
        video.enable_tiling()

    def part_of(fraction: float, message: str) -> None:
        note(0.3 + 0.7 * fraction, message)

    transformer, reading = load_transformer(sources.transformer, mode, formats.dtype, device, loras, part_of)
    backend = set_attention(transformer, device)
    logging.getLogger(__name__).info("Transformer read: %s; attention: %s", reading, backend)
    note(1.0, "Loaded")
    return BuiltNetworks(transformer, Encoders(WanVideoCodec(video), image, texts.__getitem__), reading)


def encoded_prompts(
    sources: Sources, prompts: Sequence[str], dtype: torch.dtype, device: torch.device
) -> Mapping[str, Tensor]:
    """Each prompt encoded, on the CPU; the encoder is gone afterwards."""
    tokenizer = AutoTokenizer.from_pretrained(sources.tokenizer, local_files_only=True)
    encoder = UmT5TextEncoder(load_text_encoder(sources.text_encoder, dtype, device), tokenizer)
    encoded = {prompt: encoder(prompt).cpu() for prompt in dict.fromkeys(prompts)}
    del encoder
    give_back_unused()
    return encoded


def text_device(file: Path, device: torch.device) -> torch.device:
    """Where the text encoder runs: on the GPU when it fits; else on the CPU, from the mapped file, some seconds."""
    fits = (free_gpu_bytes(device) or 0) > TEXT_SPARE * file.stat().st_size
    return device if fits else torch.device("cpu")


class OnDemand:
    """A network that is on the device only while it is used.

    Args:
        model: On the CPU.
        use: What is done with it, such as an encoder made of it.
        device: Where it calculates.
    """

    def __init__(self, model: nn.Module, use: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._model, self._use, self._device = model, use, device

    def __call__(self, value: Tensor) -> Tensor:
        """Use it; the result is on the CPU."""
        self._model.to(self._device)
        try:
            return self._use(value).cpu()
        finally:
            self._model.to("cpu")


def _image_encoder(
    path: Path, dtype: torch.dtype, mode: MemoryMode, device: torch.device
) -> Callable[[Tensor], Tensor]:
    if mode.surroundings is Surroundings.FRUGAL:
        model = load_image_encoder(path, dtype)
        return OnDemand(model, ClipImageEncoder(model), device)
    return ClipImageEncoder(load_image_encoder(path, dtype, device))
