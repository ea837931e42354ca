"""Audio: features of speech at the video's frame rate, from wav2vec 2.0, and the window of them around each frame.

Tracks may be long. The convolutions run in blocks, with the same result as over the whole track. The transformer, whose
attention would grow with the square of the length, runs in overlapping spans, of which the middle is kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from numpy.typing import NDArray
from torch import Tensor
from transformers import Wav2Vec2Model

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import RenderInput
from talkingvideo_worker.units import FRAME_RATE, SAMPLE_RATE

CONTEXT = 2
"""Features on each side of a frame's own that belong to its window."""

Features = NDArray[np.floating[Any]]
"""(frames, layers, channels) of one speaker over the whole video; may be mapped from a file."""


class AudioSource(Protocol):
    """The features of all speakers over the video."""

    def windows(self, start: int, frames: int) -> Features:
        """The window of features around each of some frames.

        Args:
            start: Number of the first frame in the video.
            frames: How many.

        Returns:
            (speakers, frames, 2 * CONTEXT + 1, layers, channels).
        """
        ...


def window_indices(start: int, frames: int, length: int) -> NDArray[np.int64]:
    """Indices of each frame's features in a track; outside of it they are its first or last feature.

    Returns:
        (frames, 2 * CONTEXT + 1).
    """
    indices = np.arange(start, start + frames)[:, None] + np.arange(-CONTEXT, CONTEXT + 1)
    return indices.clip(0, length - 1)


@dataclass(frozen=True)
class Tracks:
    """The speakers' tracks, unchanged. They end with silence where the last window reaches beyond the video.

    Attributes:
        speakers: The features of each.
    """

    speakers: Sequence[Features]

    def windows(self, start: int, frames: int) -> Features:
        """See ``AudioSource``."""
        return np.stack([track[window_indices(start, frames, len(track))] for track in self.speakers])


VARIANCE_FLOOR = 1e-7
"""Added to a track's variance before dividing by its root, as in the feature extractor of wav2vec 2.0."""

SPAN = 60 * FRAME_RATE
"""Features kept of each span of the transformer. A track that is not longer is one span."""

MARGIN = 8 * FRAME_RATE
"""Further features that the transformer sees on each side of a span.

With random weights the root mean square of the difference from the whole track is 0.0002 of the features' spread.
"""

BLOCK = 10 * SAMPLE_RATE
"""About how many samples the convolutions take at once: 0.3 GB in the published model."""


@torch.no_grad()
def feature_spans(
    model: Wav2Vec2Model,
    samples: NDArray[Any],
    frames: int,
    span: int = SPAN,
    margin: int = MARGIN,
    silence: int = 0,
) -> Iterator[Tensor]:
    """Encode a track, span by span.

    The convolutions' output (50 Hz) is resampled to one feature per frame before the transformer, which therefore runs at
    25 Hz. A constant gain of the track has no effect: the track is first brought to zero mean and unit variance.

    Args:
        model: In evaluation mode; its first layer normalises over time, as the published one's does.
        samples: (n), 16 kHz, mono; floats in -1..1 or integers of any width.
        frames: Features to make over the whole length, silence included.
        span: See ``SPAN``.
        margin: See ``MARGIN``.
        silence: Samples of silence to append to the track. They are encoded, but do not count when the track is
            normalised, so that the track is encoded as if it were alone.

    Yields:
        (n, layers, channels) float32, on the CPU: the outputs of all layers of the transformer, ``frames`` in total.

    Raises:
        ValueError: For a track that is too short for one feature.
    """
    if len(samples) < _receptive_field(model) or frames < 1:
        raise ValueError(f"{len(samples)} samples are too few for one feature of speech")
    normalised = _normalise(samples)
    padded = F.pad(normalised, (0, silence)) if silence else normalised
    convolved = _convolve(model, padded.to(model.dtype), len(samples))
    resampled = F.interpolate(convolved, size=frames, mode="linear", align_corners=True)
    for start in range(0, frames, span):
        first, end = max(0, start - margin), start + span + margin
        outputs = _layer_outputs(model, resampled[:, :, first:end])
        yield outputs[start - first : start - first + span]


def _normalise(samples: NDArray[Any]) -> Tensor:
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


def _receptive_field(model: Wav2Vec2Model) -> int:
    """Samples that one output of the convolutions depends on."""
    kernels, strides = model.config.conv_kernel, model.config.conv_stride
    samples: int = 1 + sum((kernel - 1) * math.prod(strides[:layer]) for layer, kernel in enumerate(kernels))
    return samples


def _convolve(model: Wav2Vec2Model, samples: Tensor, counted: int | None = None) -> Tensor:
    """The convolutions over a track: (1, channels, n) at 50 Hz.

    The first layer normalises each channel over the whole time, so its statistics are measured in a pass before: over the
    first ``counted`` samples, or all of them.
    """
    first, *others = model.feature_extractor.conv_layers
    kernels, strides = model.config.conv_kernel, model.config.conv_stride
    mean, variance = _statistics(first.conv, _blocks(samples[:counted], kernels[0], strides[0], model.device))
    parts = []
    for block in _blocks(samples, _receptive_field(model), math.prod(strides), model.device):
        norm = first.layer_norm
        hidden = F.batch_norm(first.conv(block), mean, variance, norm.weight, norm.bias, eps=norm.eps)
        hidden = first.activation(hidden)
        for layer in others:
            hidden = layer(hidden)
        parts.append(hidden)
    return torch.cat(parts, 2)


def _blocks(samples: Tensor, field: int, hop: int, device: torch.device) -> Iterator[Tensor]:
    """Blocks (1, 1, n) of a track that overlap such that convolving them one by one gives each output once."""
    outputs = (len(samples) - field) // hop + 1
    size = max(1, BLOCK // hop)
    for start in range(0, outputs, size):
        end = min(start + size, outputs)
        yield samples[start * hop : (end - 1) * hop + field].to(device)[None, None]


def _statistics(convolve: Callable[[Tensor], Tensor], blocks: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance of each channel over all blocks, summed in float64."""
    count, sums, squares = 0, torch.zeros(()), torch.zeros(())
    for block in blocks:
        values = convolve(block)[0].double()
        count += values.shape[1]
        sums, squares = sums.to(values) + values.sum(1), squares.to(values) + values.square().sum(1)
    mean = sums / count
    return mean.float(), (squares / count - mean.square()).float()


def _features_file(track: int) -> str:
    return f"features-{track}.npy"


def write_features(folder: Path, track: int, spans: Iterator[Tensor], frames: int) -> None:
    """Write features span by span, in half precision, which is finer than the format the model calculates in."""
    first = next(spans)
    out = np.lib.format.open_memmap(folder / _features_file(track), "w+", np.float16, (frames, *first.shape[1:]))
    out[: len(first)], written = first.numpy(), len(first)
    for span in spans:
        out[written : written + len(span)] = span.numpy()
        written += len(span)
    out.flush()


def read_features(render_input: RenderInput, folder: Path) -> tuple[Features, ...]:
    """The features of each track, mapped from its file: (frames, layers, channels).

    Raises:
        StageError: E_WORKSPACE, not retryable, when a file is not what `write_features` writes: prepare parses strangers'
            media, and may write anything.
    """
    return tuple(_mapped(folder / _features_file(index)) for index in range(len(render_input.tracks)))


def _mapped(path: Path) -> Features:
    try:
        features: Features = np.lib.format.open_memmap(path, "r")
        if features.dtype != np.float16 or features.ndim != 3:
            raise ValueError("no features")
    except ValueError as error:
        message = f"{path.name} does not hold the features of a track that prepare writes."
        raise StageError(ErrorCode.WORKSPACE, message, retryable=False) from error
    return features
