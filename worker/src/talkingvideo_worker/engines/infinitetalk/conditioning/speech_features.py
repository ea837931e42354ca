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

from talkingvideo_worker.units import FRAME_RATE, SAMPLE_RATE

VARIANCE_FLOOR = 1e-7
"""What the feature extractor of wav2vec 2.0 adds to a track's variance before it divides by its root."""

SPAN = 60 * FRAME_RATE
"""Features that are kept of each span of the transformer. A track that is no longer is one span."""

MARGIN = 8 * FRAME_RATE
"""Features on each side of a span that the transformer sees besides.

With random weights the root mean square of the difference from the whole track is 0.0002 of the features' spread.
"""

BLOCK = 10 * SAMPLE_RATE
"""Samples that the convolutions take at once, about: 0.3 GB in the published model."""


def count_features(samples: int) -> int:
    """Features of a track in the published code: whole frames only."""
    return int(samples / SAMPLE_RATE * FRAME_RATE)


@torch.no_grad()
def speech_features(
    model: Wav2Vec2Model,
    samples: NDArray[Any],
    frames: int | None = None,
    span: int = SPAN,
    margin: int = MARGIN,
    silence: int = 0,
) -> Tensor:
    """Hear a track.

    The convolutions' output (50 Hz) is resampled to one feature a frame before the transformer, which so runs at 25 Hz.
    A constant gain of the track has no effect, for it is first brought to zero mean and unit variance.

    Args:
        model: In evaluation mode; its first layer normalises over time, as the published one's does.
        samples: (n), 16 kHz, mono; floats in -1..1 or whole numbers of any width.
        frames: Features to make over the whole length, silence included; ``count_features`` by default.
        span: See ``SPAN``.
        margin: See ``MARGIN``.
        silence: Samples of silence behind the track, which are heard. They do not count where it is normalised, so that
            the track is heard as if it were alone.

    Returns:
        (frames, layers, channels) float32, on the CPU: the outputs of all layers of the transformer.

    Raises:
        ValueError: For a track that is too short for one feature.
    """
    frames = count_features(len(samples) + silence) if frames is None else frames
    return torch.cat(list(feature_spans(model, samples, frames, span, margin, silence)))


@torch.no_grad()
def feature_spans(
    model: Wav2Vec2Model,
    samples: NDArray[Any],
    frames: int,
    span: int = SPAN,
    margin: int = MARGIN,
    silence: int = 0,
) -> Iterator[Tensor]:
    """What ``speech_features`` returns, span by span."""
    if len(samples) < _reach(model) or frames < 1:
        raise ValueError(f"{len(samples)} samples are too few for one feature of speech")
    heard = F.pad(_normalised(samples), (0, silence)) if silence else _normalised(samples)
    convolved = _convolved(model, heard.to(model.dtype), len(samples))
    resampled = F.interpolate(convolved, size=frames, mode="linear", align_corners=True)
    for start in range(0, frames, span):
        first, end = max(0, start - margin), start + span + margin
        outputs = _layer_outputs(model, resampled[:, :, first:end])
        yield outputs[start - first : start - first + span]


def _normalised(samples: NDArray[Any]) -> Tensor:
    """The track with zero mean and unit variance, float32. In place: an hour is 0.2 GB."""
    values = samples.astype(np.float32)
    if np.issubdtype(samples.dtype, np.integer):
        values /= -float(np.iinfo(samples.dtype).min)
    values -= values.mean(dtype=np.float64)
    parts = (values[start : start + BLOCK] for start in range(0, len(values), BLOCK))
    variance = sum(float(np.square(part, dtype=np.float64).sum()) for part in parts) / len(values)
    values /= np.sqrt(variance + VARIANCE_FLOOR)
    return torch.from_numpy(values)


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


def _reach(model: Wav2Vec2Model) -> int:
    """Samples that one output of the convolutions sees."""
    kernels, strides = model.config.conv_kernel, model.config.conv_stride
    reach: int = 1 + sum((kernel - 1) * math.prod(strides[:layer]) for layer, kernel in enumerate(kernels))
    return reach


def _convolved(model: Wav2Vec2Model, samples: Tensor, counted: int | None = None) -> Tensor:
    """The convolutions over a track: (1, channels, n) at 50 Hz.

    The first layer normalises each channel over the whole time. So its statistics are measured in a pass before, over
    the first ``counted`` samples or all.
    """
    first, *others = model.feature_extractor.conv_layers
    kernels, strides = model.config.conv_kernel, model.config.conv_stride
    mean, variance = _statistics(first.conv, _blocks(samples[:counted], kernels[0], strides[0], model.device))
    parts = []
    for block in _blocks(samples, _reach(model), math.prod(strides), model.device):
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
