"""A transformer's files with random weights, in the published layout and as ``weights convert`` leaves them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from talkingvideo_worker.engines.infinitetalk.weights.converted import CONVERTED
from talkingvideo_worker.engines.infinitetalk.weights.converting import conversions
from talkingvideo_worker.engines.infinitetalk.weights.files import BASE, CONFIG, adapter_of
from talkingvideo_worker.engines.infinitetalk.weights.headers import Shape, adapter_shapes, base_shapes

NARROW: Mapping[str, Any] = {
    "model_type": "i2v",
    "text_len": 512,
    "in_dim": 36,
    "dim": 1024,
    "ffn_dim": 2816,
    "freq_dim": 256,
    "out_dim": 16,
    "num_heads": 8,
    "text_dim": 1024,
    "eps": 1e-6,
    "intermediate_dim": 64,
}
"""A fifth as wide as the 14B model; as many blocks as a size asks for, so that the two slots of a lean mode count little."""

SHARDS = 3
LAST_CONVERSION = "adapter-single.safetensors"


def write_weights(folder: Path, bytes: float) -> None:
    """Write base and adapter for one speaker, in float32 as they are published, and their converted copy.

    Args:
        folder: Of weights; empty.
        bytes: About how large the published files are.
    """
    config = {**NARROW, "num_layers": _layers(bytes)}
    (folder / BASE).mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(config))
    base = base_shapes(config)
    names = list(base)
    for number in range(SHARDS):
        part = {name: base[name] for name in names[len(names) * number // SHARDS : len(names) * (number + 1) // SHARDS]}
        _write(folder / BASE / f"diffusion_pytorch_model-{number + 1:05}-of-{SHARDS:05}.safetensors", part)
    for speakers in (1, 2):
        path = folder / adapter_of(speakers)
        path.parent.mkdir(parents=True)
        _write(path, adapter_shapes(config))
    (folder / CONVERTED).mkdir()
    for conversion in conversions(folder):
        conversion.write()
        if conversion.target.name == LAST_CONVERSION:
            return


def _layers(bytes: float) -> int:
    none, one = (_bytes({**NARROW, "num_layers": layers}) for layers in (0, 1))
    return max(1, round((bytes - none) / (one - none)))


def _bytes(config: Mapping[str, Any]) -> int:
    return 4 * sum(prod(shape) for shape in (base_shapes(config) | adapter_shapes(config)).values())


def _write(path: Path, shapes: Mapping[str, Shape]) -> None:
    save_file({name: 0.02 * torch.randn(shape) for name, shape in shapes.items()}, path)
