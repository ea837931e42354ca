"""A tiny transformer with random weights, and stand-ins for what is around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.tiny_weights import write_tiny_weights
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import Encoders, Guidance, Material, Settings, Tracks, published_timesteps
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import Features
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import WindowNoise
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

TEXT_CHANNELS = 8

SAID = {
    "in_dim": 36,
    "dim": 24,
    "ffn_dim": 32,
    "freq_dim": 16,
    "out_dim": 16,
    "num_heads": 1,
    "num_layers": 2,
    "eps": 1e-6,
}
"""What the published ``config.json`` says, of the smallest model."""

UNSAID = {"text_dim": TEXT_CHANNELS, "intermediate_dim": 2, "context_tokens": 2, "output_dim": 8}
"""What its weights' shapes say."""


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole folder of tiny weights. Tests that change it take a copy."""
    folder = tmp_path_factory.mktemp("weights")
    write_tiny_weights(folder)
    return folder


def track(length: int, offset: float = 0) -> Features:
    """A track whose features are consecutive numbers."""
    return (np.arange(length, dtype=np.float32) + np.float32(offset))[:, None, None]


@pytest.fixture(scope="session")
def tiny_transformer() -> AudioWanTransformer3DModel:
    torch.manual_seed(0)
    model: AudioWanTransformer3DModel = AudioWanTransformer3DModel(
        num_attention_heads=1,
        attention_head_dim=24,
        text_dim=TEXT_CHANNELS,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        image_dim=8,
        added_kv_proj_dim=24,
        audio_layers=1,
        audio_channels=4,
        audio_hidden_dim=4,
        audio_tokens=2,
        audio_token_dim=4,
    )
    model.requires_grad_(False)
    model.eval()
    return model


class TinyCodec:
    """Means of 8 x 8 pixels and of 4 frames, in 3 of the 16 channels; and back."""

    def encode(self, video: Tensor) -> Tensor:
        means = torch.nn.functional.avg_pool2d(video.transpose(0, 1), 8).transpose(0, 1)
        later = means[:, 1:].unflatten(1, (-1, 4)).mean(2) if means.shape[1] > 1 else means[:, :0]
        latents = torch.cat([means[:, :1], later], 1)
        return torch.cat([latents, latents.new_zeros(13, *latents.shape[1:])])

    def decode(self, latents: Tensor) -> Tensor:
        pixels = latents[:3].tanh().repeat_interleave(8, 2).repeat_interleave(8, 3)
        return torch.cat([pixels[:, :1], pixels[:, 1:].repeat_interleave(4, 1)], 1)


@dataclass
class TinyStage:
    """All that the loop takes, for a picture of 16 x 16 and one speaker."""

    frames: int
    window: int = 81
    motion: int = 9
    encoded_pictures: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        generator = np.random.default_rng(5)
        self.tracks = [generator.standard_normal((self.frames, 1, 4)).astype(np.float32)]
        self.picture = torch.from_numpy(generator.uniform(-1, 1, (3, 16, 16)).astype(np.float32))

    @property
    def encoders(self) -> Encoders:
        return Encoders(TinyCodec(), self._see, lambda prompt: torch.full((3, TEXT_CHANNELS), len(prompt) / 10))

    @property
    def settings(self) -> Settings:
        return Settings(
            timesteps=published_timesteps(2, 3.0),
            guidance=Guidance(1, 2),
            prompt="speaks",
            negative_prompt="silent",
            window=self.window,
            motion=self.motion,
        )

    @property
    def material(self) -> Material:
        return Material(lambda _frame: self.picture, Tracks(self.tracks), WindowNoise(1))

    def _see(self, picture: Tensor) -> Tensor:
        self.encoded_pictures.append(picture)
        return torch.ones(257, 8) * picture.mean()
