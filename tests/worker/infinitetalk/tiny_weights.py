"""A whole folder of weights in the published layout: tiny, random, the same for a seed.

``python -m tests.worker.infinitetalk.tiny_weights FOLDER`` writes one. Sizes are the smallest that the architectures
allow; the adapter's features are as wide as the published ones (12 layers of 768 channels).
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch import Tensor
from transformers import PreTrainedTokenizerFast, Wav2Vec2Config, Wav2Vec2Model

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_worker.engines.infinitetalk.weights.files import (
    BASE,
    CONFIG,
    IMAGE_ENCODER,
    LORAS,
    SPEECH,
    TEXT_ENCODER,
    TOKENIZER,
    VIDEO_CODEC,
    adapter_of,
)
from talkingvideo_worker.engines.infinitetalk.weights.headers import adapter_shapes, base_shapes

SHAPES = Path(__file__).parent / "parity" / "aux.json"
"""The recordings of the networks around the transformer list their weights' shapes."""

MODEL = {
    "model_type": "i2v",
    "text_len": 512,
    "in_dim": 36,
    "dim": 48,
    "ffn_dim": 64,
    "freq_dim": 16,
    "out_dim": 16,
    "num_heads": 2,
    "num_layers": 2,
    "eps": 1e-6,
    "text_dim": 64,
    "image_dim": 64,
    "intermediate_dim": 4,
    "context_tokens": 4,
    "output_dim": 16,
}

LETTERS = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,;:!?'\"-()"
VOCABULARY = {token: number for number, token in enumerate(["<pad>", "</s>", "<unk>", *LETTERS])}

Shapes = Mapping[str, tuple[int, ...]]


def write_tiny_weights(folder: Path, seed: int = 0) -> None:
    """Write everything that the engine needs.

    Args:
        folder: Of the weights; made if it is missing.
        seed: Other seeds make other weights.
    """
    generator = torch.Generator().manual_seed(seed)
    around: dict[str, dict[str, Shapes]] = json.loads(SHAPES.read_text())
    for path in (CONFIG, TOKENIZER / "x", *(adapter_of(speakers) for speakers in (1, 2)), SPEECH / "x"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(MODEL))
    _write_shards(folder / BASE, _random(base_shapes(MODEL), generator))
    for speakers in (1, 2):
        save_file(_random(adapter_shapes(MODEL), generator), folder / adapter_of(speakers))
    torch.save(_random(_narrow(around["vae"]["weights"]), generator), folder / VIDEO_CODEC)
    visual = _random(around["clip"]["weights"], generator)
    torch.save({f"visual.{name}": value for name, value in visual.items()}, folder / IMAGE_ENCODER)
    torch.save(_random(around["t5"]["weights"], generator), folder / TEXT_ENCODER)
    _tokenizer().save_pretrained(folder / TOKENIZER)
    _write_speech_model(folder / SPEECH, seed)
    (folder / LORAS).mkdir(exist_ok=True)
    for lora in (it for loras in PRESET_LORAS.values() for it in loras):
        save_file(tiny_lora(generator), folder / LORAS / f"{lora.name}.safetensors")


def tiny_lora(generator: torch.Generator, rank: int = 2) -> dict[str, Tensor]:
    """A LoRA of the first block's self-attention, with the published keys."""
    shapes = dict[str, tuple[Any, Any]]()
    for layer in ("q", "k", "v", "o"):
        key = f"diffusion_model.blocks.0.self_attn.{layer}"
        shapes |= {f"{key}.lora_down.weight": (rank, MODEL["dim"]), f"{key}.lora_up.weight": (MODEL["dim"], rank)}
    return _random(shapes, generator)


def _write_shards(folder: Path, weights: dict[str, Tensor], shards: int = 2) -> None:
    names = list(weights)
    for number in range(shards):
        part = {name: weights[name] for name in names[number::shards]}
        save_file(part, folder / f"diffusion_pytorch_model-{number + 1:05}-of-{shards:05}.safetensors")


def _narrow(shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """The recorded VAE with a quarter of its channels; those of latents stay."""
    latents = {"encoder.head.2": (0,), "decoder.conv1": (1,), "conv1": (0, 1), "conv2": (0, 1)}
    narrowed = {}
    for name, shape in shapes.items():
        kept = latents.get(name.rpartition(".")[0], ())
        narrowed[name] = tuple(size if axis in kept or size < 16 else size // 4 for axis, size in enumerate(shape))
    return narrowed


def _random(shapes: Shapes, generator: torch.Generator) -> dict[str, Tensor]:
    """Weights under which signals neither die nor explode."""
    return {name: _weight(name, tuple(shape), generator) for name, shape in shapes.items()}


def _weight(name: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    noise = torch.randn(shape, generator=generator)
    if name.endswith("gamma") or ("norm" in name and name.endswith("weight")):
        return 1 + 0.1 * noise
    if len(shape) < 2 or name.endswith(("modulation", "bias")):
        return 0.1 * noise
    return noise / math.sqrt(math.prod(shape[1:]))


def _tokenizer() -> PreTrainedTokenizerFast:
    """Letters for tokens, the end behind them."""
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")


def _write_speech_model(folder: Path, seed: int) -> None:
    torch.manual_seed(seed)
    config: Any = Wav2Vec2Config(
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=16,
        conv_dim=[8] * 7,
        num_conv_pos_embeddings=4,
    )
    Wav2Vec2Model(config).half().save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"do_normalize": True, "sampling_rate": 16_000}))


if __name__ == "__main__":
    write_tiny_weights(Path(sys.argv[1]))
