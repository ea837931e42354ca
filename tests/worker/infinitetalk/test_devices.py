"""Everything is brought to the device of the networks: shown with torch's fake tensors, which know devices but no values.

They refuse to calculate with tensors of two devices as a GPU does, and need none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerate import init_empty_weights
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import CLIPVisionConfig, CLIPVisionModel

from talkingvideo_worker.engines.infinitetalk.conditioning.encoders import ClipImageEncoder, WanVideoCodec
from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import Tracks
from talkingvideo_worker.engines.infinitetalk.loop import Encoders, Material, Settings, render_windows
from talkingvideo_worker.engines.infinitetalk.memory.streaming import assign
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
from talkingvideo_worker.engines.infinitetalk.sampling.noise import WindowNoise
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import distilled_timesteps
from talkingvideo_worker.engines.infinitetalk.spans import window_spans
from talkingvideo_worker.engines.infinitetalk.weights.building import empty_transformer

GPU = torch.device("cuda", 0)
TRANSFORMER = {
    "dim": 48,
    "ffn_dim": 64,
    "num_heads": 2,
    "num_layers": 1,
    "freq_dim": 16,
    "in_dim": 36,
    "out_dim": 16,
    "eps": 1e-6,
    "text_dim": 32,
    "image_dim": 64,
    "intermediate_dim": 4,
    "context_tokens": 4,
    "output_dim": 16,
}
CLIP: Any = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}


def on_gpu(model: Any) -> Any:
    """A model whose weights and buffers are fake ones of a GPU."""
    for name, value in [*model.named_parameters(), *model.named_buffers()]:
        assign(model, name, torch.empty(value.shape, dtype=value.dtype, device=GPU))
    return model.eval()


@pytest.mark.parametrize("speakers", [1, 2])
def test_pictures_and_sound_on_the_host_are_rendered_on_the_networks_device(speakers: int) -> None:
    with init_empty_weights():
        video = AutoencoderKLWan(base_dim=8)
        image = CLIPVisionModel(CLIPVisionConfig(patch_size=14, **CLIP))
    features = np.zeros((60, 12, 768), np.float16)
    settings = Settings(distilled_timesteps(2), Guidance(2.0, 3.0, Projection()), "yes", "no", window=17, motion=5)
    spans = window_spans(0, [17, 12], motion=5)
    with FakeTensorMode(allow_non_fake_inputs=True):
        codec, encoder = WanVideoCodec(on_gpu(video)), ClipImageEncoder(on_gpu(image))
        transformer, picture = on_gpu(empty_transformer(TRANSFORMER)), torch.zeros(3, 64, 64)
        regions = torch.ones(3, 8, 8) if speakers == 2 else None
        material = Material(lambda _frame: picture, Tracks([features] * speakers), WindowNoise(0), regions)
        encoders = Encoders(codec, encoder, lambda _text: torch.zeros(3, 32))
        windows = list(render_windows(transformer, encoders, settings, material, spans))
    assert [window.frames.shape for window in windows] == [(3, 17, 64, 64), (3, 12, 64, 64)]
    assert {part.device for window in windows for part in (window.frames, window.motion)} == {GPU}
