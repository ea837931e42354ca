"""Reading the published weights: straight to where they belong, in the dtype they are used in.

What the configuration does not say is read from the weights' shapes. Nothing is unpickled that could run code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from safetensors import safe_open
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel, UMT5Config, UMT5EncoderModel, Wav2Vec2Model

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.conditioning.encoders import (
    image_encoder_weights,
    text_encoder_weights,
    video_codec_weights,
)
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.building import dtype_of, empty_transformer, load_adapter
from talkingvideo_worker.engines.infinitetalk.weights.checking import read_shapes
from talkingvideo_worker.engines.infinitetalk.weights.keys import BASE, renamed
from talkingvideo_worker.engines.infinitetalk.weights.layout import SHARDS

IMAGE_HEADS = 16
IMAGE_PATCH = 14
VISUAL = "visual."
"""Prefix of the picture tower in the published CLIP."""


def load_transformer(
    base: Path, adapter: Path, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> AudioWanTransformer3DModel:
    """Read base and adapter; each weight is in memory once.

    Args:
        base: Folder with ``config.json`` and the shards.
        adapter: File of the adapter.
        dtype: Of the weights; see ``dtype_of``.
        device: Where they go.

    Raises:
        StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape.
    """
    shards = sorted(base.glob(SHARDS))
    shapes = {name: shape for path in (*shards, adapter) for name, shape in read_shapes(path).items()}
    model = empty_transformer(json.loads((base / "config.json").read_text()) | _unsaid(shapes))
    for shard in shards:
        with safe_open(shard, framework="pt", device=str(device)) as file:
            names = renamed(file.keys(), BASE)
            weights = {ours: file.get_tensor(name).to(dtype_of(ours, dtype)) for name, ours in names.items()}
        model.load_state_dict(weights, strict=False, assign=True)
    load_adapter(model, adapter, dtype, device)
    if missing := [name for name, value in model.state_dict().items() if value.is_meta]:
        message = f"The base in {base.name} lacks {len(missing)} weights, such as {missing[0]}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
    model.rope.to(device)
    model.eval()
    return model


def load_video_codec(path: Path, dtype: torch.dtype, device: torch.device | str = "cpu") -> AutoencoderKLWan:
    """Read the published VAE (``Wan2.1_VAE.pth``)."""
    weights = _unpickled(path)
    with init_empty_weights():
        model = AutoencoderKLWan(base_dim=weights["encoder.conv1.weight"].shape[0])
    return _filled(model, video_codec_weights(weights), dtype, device)


def load_image_encoder(path: Path, dtype: torch.dtype, device: torch.device | str = "cpu") -> CLIPVisionModel:
    """Read the picture tower of the published CLIP."""
    weights = {name.removeprefix(VISUAL): value for name, value in _unpickled(path).items() if name.startswith(VISUAL)}
    hidden = weights["cls_embedding"].shape[-1]
    config = CLIPVisionConfig(
        hidden_size=hidden,
        intermediate_size=weights["transformer.0.mlp.0.weight"].shape[0],
        num_hidden_layers=_layers(weights, "transformer"),
        num_attention_heads=IMAGE_HEADS,
        patch_size=IMAGE_PATCH,
        hidden_act="gelu",
    )
    with init_empty_weights():
        model = CLIPVisionModel(config)
    return _filled(model, image_encoder_weights(weights), dtype, device)


def load_text_encoder(path: Path, dtype: torch.dtype, device: torch.device | str = "cpu") -> UMT5EncoderModel:
    """Read the published umT5."""
    weights = _unpickled(path)
    buckets, heads = weights["blocks.0.pos_embedding.embedding.weight"].shape
    vocabulary, width = weights["token_embedding.weight"].shape
    config = UMT5Config(
        vocab_size=vocabulary,
        d_model=width,
        d_kv=weights["blocks.0.attn.q.weight"].shape[0] // heads,
        d_ff=weights["blocks.0.ffn.fc1.weight"].shape[0],
        num_layers=_layers(weights, "blocks"),
        num_heads=heads,
        relative_attention_num_buckets=buckets,
        feed_forward_proj="gated-gelu",
    )
    with init_empty_weights():
        model = UMT5EncoderModel(config)
    return _filled(model, text_encoder_weights(weights), dtype, device)


def load_speech_model(folder: Path, device: torch.device | str = "cpu") -> Wav2Vec2Model:
    """Read the model that hears, in float32."""
    model = Wav2Vec2Model.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model.requires_grad_(False).to(device).eval()


def _unsaid(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """What the base's configuration does not say about the model."""
    channels = shapes["audio_proj.norm.weight"][0]
    return {
        "text_dim": shapes["text_embedding.0.weight"][1],
        "image_dim": shapes["img_emb.proj.0.weight"][0],
        "intermediate_dim": shapes["audio_proj.proj2.weight"][0],
        "output_dim": channels,
        "context_tokens": shapes["audio_proj.proj3.weight"][0] // channels,
    }


def _unpickled(path: Path) -> dict[str, Tensor]:
    """A checkpoint of torch, mapped rather than read."""
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    return weights


def _layers(weights: Mapping[str, Tensor], prefix: str) -> int:
    numbers = [int(name.split(".")[1]) for name in weights if name.startswith(f"{prefix}.")]
    return max(numbers) + 1


def _filled(model: Any, weights: Mapping[str, Tensor], dtype: torch.dtype, device: torch.device | str) -> Any:
    """A model with these weights, in evaluation mode; what it calculated of itself goes along."""
    moved = {name: value.to(device, dtype) for name, value in weights.items()}
    model.load_state_dict(moved, strict=True, assign=True)
    return model.requires_grad_(False).to(device).eval()
