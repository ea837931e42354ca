"""Reads the networks around the transformer: straight to their device, in the dtype they are used in.

They come from the published files, which ``torch`` memory-maps, or from converted ones. What no configuration says is
derived from the weights' shapes. Nothing is unpickled that could run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel, Wav2Vec2Model

from talkingvideo_worker.engines.infinitetalk.weights.keys import (
    image_encoder_weights,
    text_encoder_weights,
    video_codec_weights,
)

IMAGE_HEADS = 16
IMAGE_PATCH = 14
VISUAL = "visual."
"""Prefix of the image encoder in the published CLIP."""

CONFIG_KEY = "config"
"""Key of a converted file's metadata: the arguments of the model's class, as JSON."""

Device = torch.device | str


@dataclass(frozen=True)
class StoredNetwork:
    """A network in a file.

    Attributes:
        config: Arguments of its class.
        weights: By the names of its class, memory-mapped from the file.
    """

    config: Mapping[str, Any]
    weights: Mapping[str, Tensor]


def load_video_codec(path: Path, dtype: torch.dtype, device: Device = "cpu") -> AutoencoderKLWan:
    """Read the VAE, from ``Wan2.1_VAE.pth`` or converted."""
    stored = _converted(path) or published_video_codec(path)
    with init_empty_weights():
        model = AutoencoderKLWan(**stored.config)
    return _with_weights(model, stored.weights, dtype, device)


def load_image_encoder(path: Path, dtype: torch.dtype, device: Device = "cpu") -> CLIPVisionModel:
    """Read the image encoder, from the published CLIP or converted."""
    stored = _converted(path) or published_image_encoder(path)
    with init_empty_weights():
        model = CLIPVisionModel(CLIPVisionConfig(**stored.config))
    return _with_weights(model, stored.weights, dtype, device)


def load_text_encoder(path: Path, dtype: torch.dtype, device: Device = "cpu") -> UMT5EncoderModel:
    """Read umT5, published or converted."""
    stored = _converted(path) or published_text_encoder(path)
    with init_empty_weights():
        model = UMT5EncoderModel(UMT5Config(**stored.config))
    alias = {"encoder.embed_tokens.weight": stored.weights["shared.weight"]}
    return _with_weights(model, {**stored.weights, **alias}, dtype, device)


def load_speech_model(folder: Path, device: Device = "cpu") -> Wav2Vec2Model:
    """Read the model that encodes audio, in float32."""
    model = Wav2Vec2Model.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model.requires_grad_(False).to(device).eval()


def published_video_codec(path: Path) -> StoredNetwork:
    """The published VAE."""
    weights = _unpickled(path)
    return StoredNetwork({"base_dim": weights["encoder.conv1.weight"].shape[0]}, video_codec_weights(weights))


def published_image_encoder(path: Path) -> StoredNetwork:
    """The image encoder of the published CLIP."""
    weights = {name.removeprefix(VISUAL): value for name, value in _unpickled(path).items() if name.startswith(VISUAL)}
    config = {
        "hidden_size": weights["cls_embedding"].shape[-1],
        "intermediate_size": weights["transformer.0.mlp.0.weight"].shape[0],
        "num_hidden_layers": _layers(weights, "transformer"),
        "num_attention_heads": IMAGE_HEADS,
        "patch_size": IMAGE_PATCH,
        "hidden_act": "gelu",
    }
    return StoredNetwork(config, image_encoder_weights(weights))


def published_text_encoder(path: Path) -> StoredNetwork:
    """The published umT5."""
    weights = _unpickled(path)
    buckets, heads = weights["blocks.0.pos_embedding.embedding.weight"].shape
    vocabulary, width = weights["token_embedding.weight"].shape
    config = {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": weights["blocks.0.attn.q.weight"].shape[0] // heads,
        "d_ff": weights["blocks.0.ffn.fc1.weight"].shape[0],
        "num_layers": _layers(weights, "blocks"),
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "feed_forward_proj": "gated-gelu",
    }
    renamed = dict(text_encoder_weights(weights))
    del renamed["encoder.embed_tokens.weight"]
    return StoredNetwork(config, renamed)


def _converted(path: Path) -> StoredNetwork | None:
    """A converted network; None for a published file."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt", device="cpu") as file:
        config = json.loads(file.metadata()[CONFIG_KEY])
        return StoredNetwork(config, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118 - not a dict


def _unpickled(path: Path) -> dict[str, Tensor]:
    """A checkpoint of torch, memory-mapped."""
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return weights


def _layers(weights: Mapping[str, Tensor], prefix: str) -> int:
    numbers = [int(name.split(".")[1]) for name in weights if name.startswith(f"{prefix}.")]
    return max(numbers) + 1


def _with_weights(model: Any, weights: Mapping[str, Tensor], dtype: torch.dtype, device: Device) -> Any:
    """A model with some weights, in evaluation mode; buffers that it has computed are moved, too.

    Weights go one by one to the device, and there to the dtype; one with two names goes once.
    """
    moved: dict[int, Tensor] = {}
    placed = {}
    for name, value in weights.items():
        if id(value) not in moved:
            moved[id(value)] = value.to(device).to(dtype)
        placed[name] = moved[id(value)]
    model.load_state_dict(placed, strict=True, assign=True)
    return model.requires_grad_(False).to(device).eval()
