"""A transformer that several processes can share: the same weights wherever it is made."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

TEXT_CHANNELS = 8


def load() -> AudioWanTransformer3DModel:
    torch.manual_seed(7)
    model: AudioWanTransformer3DModel = AudioWanTransformer3DModel(
        num_attention_heads=4,
        attention_head_dim=12,
        text_dim=TEXT_CHANNELS,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        image_dim=8,
        added_kv_proj_dim=48,
        audio_layers=1,
        audio_channels=4,
        audio_hidden_dim=4,
        audio_tokens=2,
        audio_token_dim=4,
    )
    # With initial weights attention is nearly uniform and audio has little effect: larger ones, so that a mistake shows.
    for name, weight in model.named_parameters():
        if "attn" in name and name.endswith("weight") and weight.ndim > 1:
            weight.data.mul_(4)
    model.requires_grad_(False)
    model.eval()
    return model


def load_what_does_not_fit() -> AudioWanTransformer3DModel:
    raise StageError(ErrorCode.PIPELINE_LOAD, "The file is torn.", field="spec.render.loras[0]")


def find_the_gpu_full() -> AudioWanTransformer3DModel:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


def be_killed() -> AudioWanTransformer3DModel:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def never(here: Path) -> AudioWanTransformer3DModel:
    (here / str(os.getpid())).touch()
    time.sleep(600)
    raise AssertionError
