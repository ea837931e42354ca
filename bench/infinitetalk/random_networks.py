"""Networks with random weights, made where they calculate: no file, no copy through the host.

As ``loader`` loads them from files: the same formats, the same modes.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from infinitetalk.plan import Arithmetic, ModelSetup
from infinitetalk.work import ModelSizes
from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel

from talkingvideo_worker.engines.infinitetalk.conditioning.image import ClipImageEncoder, WanVideoCodec
from talkingvideo_worker.engines.infinitetalk.conditioning.text import UmT5TextEncoder
from talkingvideo_worker.engines.infinitetalk.memory.machine import formats_of
from talkingvideo_worker.engines.infinitetalk.memory.modes import AuxiliaryNetworks, MemoryMode
from talkingvideo_worker.engines.infinitetalk.memory.offloading import OffloadedEncoder, Placement
from talkingvideo_worker.engines.infinitetalk.memory.quantization import (
    FORMATS,
    Quantizer,
    ScaledLinear,
    quantizer_for,
)
from talkingvideo_worker.engines.infinitetalk.pipeline import Encoders
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.transformer import dtype_of, empty_transformer

SPREAD = 0.1
"""Of biases, and of norms around 1."""

CLIP_VIT_H = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 16,
    "patch_size": 14,
    "hidden_act": "gelu",
}
UMT5_XXL = {
    "vocab_size": 256384,
    "d_model": 4096,
    "d_kv": 64,
    "d_ff": 10240,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
}


@dataclass(frozen=True)
class NetworkSizes:
    """Sizes of all networks; the published ones unless said otherwise.

    Attributes:
        transformer: With its adapter.
        image: Arguments of ``CLIPVisionConfig``.
        text: Arguments of ``UMT5Config``.
        video: Arguments of ``AutoencoderKLWan``.
    """

    transformer: ModelSizes = field(default_factory=ModelSizes)
    image: Mapping[str, Any] = field(default_factory=lambda: CLIP_VIT_H)
    text: Mapping[str, Any] = field(default_factory=lambda: UMT5_XXL)
    video: Mapping[str, Any] = field(default_factory=dict)


TINY = NetworkSizes(
    ModelSizes(dim=96, ffn=128, heads=2, layers=2, text_channels=64, image_channels=64, audio_hidden=8, audio_tokens=4),
    CLIP_VIT_H | {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2},
    UMT5_XXL | {"vocab_size": 99, "d_model": 64, "d_kv": 16, "d_ff": 64, "num_layers": 2, "num_heads": 4},
    {"base_dim": 8},
)
"""For a smoke run."""


class WordNumbers:
    """Stands in for umT5's tokenizer: a number for each word, and one more for the end.

    Args:
        vocabulary: How many numbers there are.
    """

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary

    def __call__(self, text: str, *, truncation: bool, max_length: int, return_tensors: str) -> dict[str, Tensor]:  # noqa: ARG002 - a tokenizer's interface
        """Tokens of a text: ``input_ids`` (1, n)."""
        numbers = [zlib.crc32(word.encode()) % self._vocabulary for word in text.split()][: max_length - 1]
        return {"input_ids": torch.tensor([[*numbers, 1]])}


def random_transformer(sizes: ModelSizes, setup: ModelSetup, device: torch.device) -> AudioWanTransformer3DModel:
    """A transformer in a memory mode, weight by weight.

    Args:
        sizes: Of the model.
        setup: Formats and mode.
        device: Where it calculates.
    """
    model = empty_transformer(sizes.config)
    dtype = formats_of(device).dtype
    for name, value in model.named_parameters():
        value.data = value.data.to(dtype_of(name, dtype))
    shapes = {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
    quantizer = _quantisation(setup.arithmetic, device)
    if quantizer is not None:
        quantizer.prepare(model)
    placement = Placement(model, setup.mode, device)
    for name, (shape, kept) in shapes.items():
        weight = random_weight(name, shape, kept, device)
        parts = {name: weight} if quantizer is None else quantizer.quantize(name, weight, model)
        for part, value in parts.items():
            placement.put(part, value)
    placement.finish()
    model.requires_grad_(False)
    model.eval()
    return model


def random_encoders(
    sizes: NetworkSizes, texts: Mapping[str, Tensor], mode: MemoryMode, device: torch.device
) -> Encoders:
    """The networks around the transformer.

    Args:
        sizes: Of them.
        texts: The prompts, encoded.
        mode: How they are kept.
        device: Where they calculate.
    """
    formats = formats_of(device)
    with init_empty_weights():
        video = AutoencoderKLWan(**sizes.video)
        image = CLIPVisionModel(CLIPVisionConfig(**sizes.image))
    _fill(video, torch.float32, device)
    for part in (video.decoder, video.post_quant_conv):
        part.to(formats.decoding)
    _fill(image, formats.dtype, device)
    codec, encoder = WanVideoCodec(video), ClipImageEncoder(image)
    if mode.auxiliary is AuxiliaryNetworks.OFFLOADED:
        video.enable_tiling()
        image.to("cpu")
        return Encoders(codec, OffloadedEncoder(image, encoder, device), texts.__getitem__)
    return Encoders(codec, encoder, texts.__getitem__)


def random_text_encoder(sizes: NetworkSizes, device: torch.device) -> UmT5TextEncoder:
    """The text encoder with a stand-in for its tokenizer."""
    with init_empty_weights():
        model = UMT5EncoderModel(UMT5Config(**sizes.text))
    _fill(model, formats_of(device).dtype, device)
    return UmT5TextEncoder(model, WordNumbers(sizes.text["vocab_size"]))


def random_weight(name: str, shape: Sequence[int], dtype: torch.dtype, device: torch.device) -> Tensor:
    """One weight, under which signals neither die nor explode."""
    weight = torch.empty(tuple(shape), dtype=dtype, device=device)
    if len(shape) > 1 and not name.endswith(("scale_shift_table", "gamma")):
        return weight.normal_(0, 1 / math.sqrt(math.prod(shape[1:])))
    scales = name.endswith("gamma") or ("norm" in name and name.endswith("weight"))
    return weight.normal_(float(scales), SPREAD)


def _quantisation(arithmetic: Arithmetic, device: torch.device) -> Quantizer | None:
    """As the engine does it, or stored in 8 bits only, whatever the device multiplies."""
    if arithmetic is Arithmetic.FP8_STORAGE:
        return Quantizer(FORMATS[arithmetic.quantization], ScaledLinear)
    return quantizer_for(arithmetic.quantization, device)


def _fill(model: nn.Module, dtype: torch.dtype, device: torch.device) -> None:
    """Give a model that is on the meta device random weights."""
    weights = dict(_random_weights(model, dtype, device))
    model.load_state_dict(weights, strict=False, assign=True)
    left = [name for name, value in model.named_parameters() if value.is_meta]
    if left:
        raise RuntimeError(f"weights without values: {', '.join(left)}")
    model.requires_grad_(False).to(device).eval()


def _random_weights(model: nn.Module, dtype: torch.dtype, device: torch.device) -> Iterator[tuple[str, Tensor]]:
    """Weights by name; umT5's embedding stands under two, and is one tensor."""
    shared: Tensor | None = None
    for name, value in model.named_parameters(remove_duplicate=False):
        embedding = name in ("shared.weight", "encoder.embed_tokens.weight")
        weight = shared if embedding and shared is not None else random_weight(name, value.shape, dtype, device)
        shared = weight if embedding else shared
        yield name, weight
