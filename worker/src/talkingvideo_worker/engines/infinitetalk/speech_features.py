"""What the model hears: features of speech at the video's frame rate, from wav2vec 2.0."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor
from transformers import Wav2Vec2Model

from talkingvideo_worker.engines.base import FRAME_RATE, SAMPLE_RATE

VARIANCE_FLOOR = 1e-7
"""What the feature extractor of wav2vec 2.0 adds to a track's variance before it divides by its root."""


def count_features(samples: int) -> int:
    """Features of a track in the published code: whole frames only."""
    return int(samples / SAMPLE_RATE * FRAME_RATE)


@torch.no_grad()
def speech_features(model: Wav2Vec2Model, samples: NDArray[Any], frames: int | None = None) -> Tensor:
    """Hear a track.

    The convolutions' output (50 Hz) is resampled to one feature a frame before the transformer, which so runs at 25 Hz.
    A constant gain of the track has no effect, for it is first brought to zero mean and unit variance.

    Args:
        model: In evaluation mode.
        samples: (n), 16 kHz, mono.
        frames: Features to make over the track's whole length; ``count_features`` by default.

    Returns:
        (frames, layers, channels) float32, on the CPU: the outputs of all layers of the transformer.
    """
    convolved = model.feature_extractor(_normalised(samples).to(model.device, model.dtype)[None])
    frames = count_features(len(samples)) if frames is None else frames
    resampled = F.interpolate(convolved, size=frames, mode="linear", align_corners=True)
    hidden, _ = model.feature_projection(resampled.transpose(1, 2))
    outputs: list[Tensor] = []
    hooks = [
        layer.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
        for layer in model.encoder.layers
    ]
    try:
        model.encoder(hidden)
    finally:
        for hook in hooks:
            hook.remove()
    return torch.cat(outputs).transpose(0, 1).float().cpu()


def _normalised(samples: NDArray[Any]) -> Tensor:
    """The track with zero mean and unit variance, float32."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    return torch.from_numpy((centred / np.sqrt(centred.var() + VARIANCE_FLOOR)).astype(np.float32))
