"""What the engine does in parts, done to a whole model or a whole track at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor
from transformers import Wav2Vec2Model

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import MARGIN, SPAN, feature_spans
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, rename_keys
from talkingvideo_worker.engines.infinitetalk.weights.loras import merge_loras, open_loras
from talkingvideo_worker.engines.infinitetalk.weights.transformer import dtype_of
from talkingvideo_worker.units import FRAME_RATE, SAMPLE_RATE

LISTED = 5
"""Number of names that a message about a bad file lists."""


def load_adapter(
    model: AudioWanTransformer3DModel, path: Path, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> None:
    """Put an adapter's weights into a model, replacing those of another one.

    The header is checked before anything is read. Weights of the base in the file take precedence, as in the published
    code. Tensors are read one by one, straight to their device.

    Args:
        model: With its base.
        path: A safetensors file with published names.
        dtype: Of the weights; see ``dtype_of``.
        device: Of the weights.

    Raises:
        StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape.
    """
    with safe_open(path, framework="pt", device=str(device)) as file:
        names = rename_keys(file.keys(), (*BASE, *ADAPTER))
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
        _check(path, shapes, names, model)
        weights: dict[str, Tensor] = {
            ours: file.get_tensor(name).to(dtype_of(ours, dtype)) for name, ours in names.items()
        }
    model.load_state_dict(weights, strict=False, assign=True)
    model.requires_grad_(False)


def adapter_shapes(model: AudioWanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    """Names (ours) and shapes of the weights of an adapter: 330 tensors for the 14B model."""
    added = ("audio_proj.", "norm_x.", "audio_attn.")
    return {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if any(f".{part}" in f".{name}" for part in added)
    }


def _check(
    path: Path, shapes: Mapping[str, tuple[int, ...]], names: Mapping[str, str], model: AudioWanTransformer3DModel
) -> None:
    ours = {names[name]: shape for name, shape in shapes.items() if name in names}
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    problems = {
        "missing": [name for name in adapter_shapes(model) if name not in ours],
        "unknown": [name for name in shapes if name not in names or names[name] not in expected],
        "of the wrong shape": [name for name, shape in ours.items() if expected.get(name, shape) != shape],
    }
    found = [
        f"{len(some)} {problem} ({', '.join(some[:LISTED])}{', …' if len(some) > LISTED else ''})"
        for problem, some in problems.items()
        if some
    ]
    if found:
        message = f"{path.name} is not an adapter for this model: weights {'; '.join(found)}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)


def apply_loras(transformer: AudioWanTransformer3DModel, loras: Sequence[LoraFile], folder: Path) -> None:
    """Merge LoRAs into a transformer, weight by weight, each on its device.

    Args:
        transformer: With its weights in float32, bfloat16 or float16; they are replaced.
        loras: In the order in which they are applied.
        folder: Of the weights, for those that are named in it.

    Raises:
        StageError: E_PIPELINE_LOAD for a file that does not fit; nothing is changed then.
    """
    with open_loras(transformer, loras, folder) as opened:
        names = {name for lora in opened for name in lora.changes}
        for name in sorted(names):
            weight = transformer.get_parameter(name)
            weight.data = merge_loras(name, weight.data, opened)


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
    """All features of a track at once: see ``feature_spans``; ``frames`` is ``count_features`` by default."""
    frames = count_features(len(samples) + silence) if frames is None else frames
    return torch.cat(list(feature_spans(model, samples, frames, span, margin, silence)))
