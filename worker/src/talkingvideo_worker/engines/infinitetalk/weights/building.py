"""Making the transformer: from a configuration and weights at hand, or adding the adapter's file to a base."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk.arrays import as_tensor
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, rename_all, renamed

SHOWN = 5
"""Names that a message about a bad file lists."""


def build_transformer(config: Mapping[str, Any], weights: Mapping[str, Any]) -> AudioWanTransformer3DModel:
    """Make a transformer from the published format.

    Args:
        config: Wan 2.1's own names (``dim``, ``num_heads``, ``num_layers``, ``ffn_dim``, ``freq_dim``, ``in_dim``,
            ``out_dim``, ``eps``: those of its ``config.json``), and where they differ from the published ones
            ``text_dim``, ``image_dim`` and the adapter's ``intermediate_dim``, ``audio_window``, ``context_tokens``,
            ``output_dim``, ``vae_scale``.
        weights: Base and adapter by their published names, as tensors or numpy arrays. Used as they are, not copied.

    Returns:
        The model in evaluation mode, without gradients, in the weights' dtype.

    Raises:
        KeyError: For names of weights that are unknown.
        RuntimeError: For weights that are missing or of the wrong shape.
    """
    model = empty_transformer(config)
    tensors = {name: as_tensor(value) for name, value in weights.items()}
    model.load_state_dict(rename_all(tensors, (*BASE, *ADAPTER)), strict=True, assign=True)
    model.requires_grad_(False)
    model.eval()
    return model


def empty_transformer(config: Mapping[str, Any]) -> AudioWanTransformer3DModel:
    """Make a transformer whose weights take no memory (they are on the ``meta`` device).

    Args:
        config: As for ``build_transformer``.
    """
    heads = config["num_heads"]
    optional = {
        "text_dim": config.get("text_dim"),
        "image_dim": config.get("image_dim"),
        "audio_window": config.get("audio_window"),
        "audio_hidden_dim": config.get("intermediate_dim"),
        "audio_tokens": config.get("context_tokens"),
        "audio_token_dim": config.get("output_dim"),
        "vae_scale": config.get("vae_scale"),
    }
    with init_empty_weights():
        model: AudioWanTransformer3DModel = AudioWanTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=config["dim"] // heads,
            in_channels=config["in_dim"],
            out_channels=config["out_dim"],
            freq_dim=config["freq_dim"],
            ffn_dim=config["ffn_dim"],
            num_layers=config["num_layers"],
            eps=config["eps"],
            added_kv_proj_dim=config["dim"],
            **{name: value for name, value in optional.items() if value is not None},
        )
    return model


def adapter_shapes(model: AudioWanTransformer3DModel) -> dict[str, tuple[int, ...]]:
    """Names (ours) and shapes of what an adapter must bring: 330 tensors for the 14B model."""
    added = ("audio_proj.", "norm_x.", "audio_attn.")
    return {
        name: tuple(value.shape)
        for name, value in model.state_dict().items()
        if any(f".{part}" in f".{name}" for part in added)
    }


def dtype_of(name: str, dtype: torch.dtype) -> torch.dtype:
    """The dtype of one of our weights in a model of a dtype: norms, modulation and the last layer stay in float32."""
    kept = set(AudioWanTransformer3DModel._keep_in_fp32_modules)
    return torch.float32 if kept.intersection(name.split(".")) else dtype


def load_adapter(
    model: AudioWanTransformer3DModel, path: Path, dtype: torch.dtype, device: torch.device | str = "cpu"
) -> None:
    """Put an adapter's weights into a model, replacing those of another one.

    The header is checked before anything is read. Weights of the base in the file win over the model's, as in the
    published code. Tensors are read one by one, straight to where they belong.

    Args:
        model: With its base.
        path: A safetensors file with published names.
        dtype: Of the weights; see ``dtype_of``.
        device: Where they go.

    Raises:
        StageError: E_PIPELINE_LOAD when weights are missing, unknown or of the wrong shape.
    """
    with safe_open(path, framework="pt", device=str(device)) as file:
        names = renamed(file.keys(), (*BASE, *ADAPTER))
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - not a dict
        _check(path, shapes, names, model)
        weights: dict[str, Tensor] = {
            ours: file.get_tensor(name).to(dtype_of(ours, dtype)) for name, ours in names.items()
        }
    model.load_state_dict(weights, strict=False, assign=True)
    model.requires_grad_(False)


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
        f"{len(some)} {problem} ({', '.join(some[:SHOWN])}{', …' if len(some) > SHOWN else ''})"
        for problem, some in problems.items()
        if some
    ]
    if found:
        message = f"{path.name} is not an adapter for this model: weights {'; '.join(found)}."
        raise StageError(ErrorCode.PIPELINE_LOAD, message, retryable=False)
