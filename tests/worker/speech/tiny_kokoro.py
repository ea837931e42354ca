"""A folder of Kokoro's weights as it is published, with a small network of random numbers in it."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from tests.worker.speech.kokoro_vocabulary import VOCABULARY

from talkingvideo_worker.speech.kokoro import CONFIG, MODEL, VOICES, model_class

SMALL = {
    "dim_in": 64,
    "dropout": 0.2,
    "hidden_dim": 512,  # this, the style's size and the decoder's channels stand fixed in the code
    "max_dur": 4,
    "n_layer": 1,
    "n_mels": 80,
    "n_token": 178,
    "style_dim": 128,
    "text_encoder_kernel_size": 5,
    "plbert": {
        "hidden_size": 16,
        "embedding_size": 16,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 512,
        "num_hidden_layers": 1,
    },
    "istftnet": {
        "upsample_kernel_sizes": [20, 12],
        "upsample_rates": [10, 6],
        "gen_istft_hop_size": 5,
        "gen_istft_n_fft": 20,
        "resblock_dilation_sizes": [[1, 1, 1]],
        "resblock_kernel_sizes": [3],
        "upsample_initial_channel": 512,
    },
    "vocab": VOCABULARY,
}


def write_tiny_kokoro(folder: Path, *voices: str) -> Path:
    """Write weights and voices; returns the folder."""
    (folder / VOICES).mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(SMALL), encoding="utf-8")
    torch.save({}, folder / MODEL)  # the class cannot be made without a file: from an empty one it takes nothing
    with torch.device("meta"):
        model = model_class()(repo_id="tiny", config=str(folder / CONFIG), model=str(folder / MODEL))
    torch.manual_seed(0)
    torch.save({name: _published(part) for name, part in model.named_children()}, folder / MODEL)
    for voice in voices:
        torch.save(torch.randn(510, 1, 256), folder / VOICES / f"{voice}.pt")
    return folder


def _published(part: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Random numbers, named as the parallel training named them, in half the bytes."""
    return {f"module.{name}": _random(name, value.shape).half() for name, value in part.state_dict().items()}


def _random(name: str, shape: torch.Size) -> torch.Tensor:
    """Norms of weights are 1, so that signals go through."""
    return torch.ones(shape) if name.endswith("weight_g") else 0.05 * torch.randn(shape)
