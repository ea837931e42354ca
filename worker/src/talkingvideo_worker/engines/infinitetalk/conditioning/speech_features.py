"""What the model hears: features of speech at the video's frame rate, from wav2vec 2.0.

Tracks may be long. The convolutions run in blocks, with the same result as over the whole track. The transformer, whose
attention would grow with the square of the length, runs in overlapping spans; of each the middle is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
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

SPAN = 60 * FRAME_RATE
"""Features that are kept of each span of the transformer. A track that is no longer is one span."""

MARGIN = 8 * FRAME_RATE
"""Features on each side of a span that the transformer sees besides.

With random weights the root mean square of the difference from the whole track is 0.0002 of the features' spread.
"""

BLOCK = 30 * SAMPLE_RATE
"""Samples that the convolutions take at once, about."""


def count_features(samples: int) -> int:
    """Features of a track in the published code: whole frames only."""
    return int(samples / SAMPLE_RATE * FRAME_RATE)


@torch.no_grad()
def speech_features(
    model: Wav2Vec2Model, samples: NDArray[Any], frames: int | None = None, span: int = SPAN, margin: int = MARGIN
) -> Tensor:
    """Hear a track.

    The convolutions' output (50 Hz) is resampled to one feature a frame before the transformer, which so runs at 25 Hz.
    A constant gain of the track has no effect, for it is first brought to zero mean and unit variance.

    Args:
        model: In evaluation mode; its first layer normalises over time, as the published one's does.
        samples: (n), 16 kHz, mono; at least 400.
        frames: Features to make over the track's whole length; ``count_features`` by default.
        span: See ``SPAN``.
        margin: See ``MARGIN``.

    Returns:
        (frames, layers, channels) float32, on the CPU: the outputs of all layers of the transformer.
    """
    frames = count_features(len(samples)) if frames is None else frames
    return torch.cat(list(feature_spans(model, samples, frames, span, margin)))


@torch.no_grad()
def feature_spans(
    model: Wav2Vec2Model, samples: NDArray[Any], frames: int, span: int = SPAN, margin: int = MARGIN
) -> Iterator[Tensor]:
    """What ``speech_features`` returns, span by span."""
    convolved = _convolved(model, _normalised(samples).to(model.dtype))
    resampled = F.interpolate(convolved, size=frames, mode="linear", align_corners=True)
    for start in range(0, frames, span):
        first, end = max(0, start - margin), start + span + margin
        outputs = _layer_outputs(model, resampled[:, :, first:end])
        yield outputs[start - first : start - first + span]


def _normalised(samples: NDArray[Any]) -> Tensor:
    """The track with zero mean and unit variance, float32."""
    centred = samples.astype(np.float64) - samples.mean(dtype=np.float64)
    return torch.from_numpy((centred / np.sqrt(centred.var() + VARIANCE_FLOOR)).astype(np.float32))


def _layer_outputs(model: Wav2Vec2Model, features: Tensor) -> Tensor:
    """The transformer's layers over (1, channels, frames): (frames, layers, channels), float32, on the CPU."""
    hidden, _ = model.feature_projection(features.transpose(1, 2))
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


def _convolved(model: Wav2Vec2Model, samples: Tensor) -> Tensor:
    """The convolutions over a track: (1, channels, n) at 50 Hz.

    The first layer normalises each channel over the whole time. So its statistics are measured in a pass before.
    """
    first, *others = model.feature_extractor.conv_layers
    kernels, strides = model.config.conv_kernel, model.config.conv_stride
    mean, variance = _statistics(first.conv, _blocks(samples, kernels[0], strides[0], model.device))
    # The hop from one output to the next, and the samples that an output sees.
    hop = math.prod(strides)
    reach = 1 + sum((kernel - 1) * math.prod(strides[:layer]) for layer, kernel in enumerate(kernels))
    parts = []
    for block in _blocks(samples, reach, hop, model.device):
        norm = first.layer_norm
        hidden = F.batch_norm(first.conv(block), mean, variance, norm.weight, norm.bias, eps=norm.eps)
        hidden = first.activation(hidden)
        for layer in others:
            hidden = layer(hidden)
        parts.append(hidden)
    return torch.cat(parts, 2)


def _blocks(samples: Tensor, reach: int, hop: int, device: torch.device) -> Iterator[Tensor]:
    """Pieces (1, 1, n) of a track which overlap so that convolving them one by one gives each output once."""
    outputs = (len(samples) - reach) // hop + 1
    size = max(1, BLOCK // hop)
    for start in range(0, outputs, size):
        end = min(start + size, outputs)
        yield samples[start * hop : (end - 1) * hop + reach].to(device)[None, None]


def _statistics(convolve: Callable[[Tensor], Tensor], blocks: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over all blocks, summed in float64."""
    count, sums, squares = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        values = convolve(block)[0].double()
        count += values.shape[1]
        sums, squares = sums.to(values) + values.sum(1), squares.to(values) + values.square().sum(1)
    mean = sums / count
    return mean.float(), (squares / count - mean.square()).float()
