"""A tiny model in the published layout, wide enough for quantised kernels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.weights.headers import adapter_shapes, base_shapes
from talkingvideo_worker.engines.infinitetalk.weights.transformer import StoredTransformer, published_transformer

LAYERS = 5
CONFIG = {
    "in_dim": 36, "dim": 128, "ffn_dim": 256, "freq_dim": 32, "out_dim": 16, "num_heads": 2, "num_layers": LAYERS,
    "eps": 1e-6,
}  # fmt: skip
UNSAID = {"text_dim": 16, "image_dim": 64, "intermediate_dim": 4, "context_tokens": 4, "output_dim": 32}


def random(shapes: dict[str, Any], seed: int = 3) -> dict[str, Tensor]:
    """As trained weights are: norms around 1, matrices that neither damp nor amplify."""
    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, shape in shapes.items():
        noise = torch.randn(tuple(shape), generator=generator)
        is_gain = "norm" in name and name.endswith("weight")
        scale = noise.numel() ** 0.5 / shape[0] ** 0.5 if len(shape) > 1 else 10.0
        weights[name] = 1 + 0.1 * noise if is_gain else noise / scale
    return weights


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> StoredTransformer:
    folder = tmp_path_factory.mktemp("published")
    (folder / "config.json").write_text(json.dumps(CONFIG))
    weights = random(base_shapes(CONFIG | UNSAID))
    for number in range(2):
        part = {name: weights[name] for name in list(weights)[number::2]}
        save_file(part, folder / f"diffusion_pytorch_model-0000{number + 1}-of-00002.safetensors")
    save_file(random(adapter_shapes(CONFIG | UNSAID), 4), folder / "adapter.safetensors")
    return published_transformer(folder, folder / "adapter.safetensors")


@pytest.fixture(scope="session")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lora") / "lora.safetensors"
    generator = torch.Generator().manual_seed(8)
    weights = {}
    for layer in ("blocks.1.self_attn.q", "blocks.2.self_attn.v"):
        weights[f"diffusion_model.{layer}.lora_down.weight"] = torch.randn(4, 128, generator=generator) * 0.1
        weights[f"diffusion_model.{layer}.lora_up.weight"] = torch.randn(128, 4, generator=generator) * 0.1
    save_file(weights, path)
    return path
