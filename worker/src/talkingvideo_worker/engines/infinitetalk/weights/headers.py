"""Names and shapes of weights: as a configuration implies them, and as a file's header lists them. No torch."""

from __future__ import annotations

import json
import operator
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Shape = tuple[int, ...]

FEATURES = 12 * 768
"""Values of one feature of speech: layers times channels."""

WINDOW = 5
"""Features in a video frame's window."""

SPAN = 8
"""Features of a latent frame, which stands for four video frames."""

CLIP_CHANNELS = 1280
PATCH = (1, 2, 2)

LONGEST_HEADER = 16_000_000
"""Bytes. Published ones have some hundred thousand; the format's own reader accepts 100 MB, which are gigabytes when parsed."""

LISTED = 3
"""Names of weights in a message."""


def base_shapes(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Weights of Wan 2.1 I2V.

    Args:
        config: Of its ``config.json``, and ``text_dim`` and ``image_dim`` where they aren't 4096 and 1280.
    """
    dim, ffn, image = config["dim"], config["ffn_dim"], config.get("image_dim", CLIP_CHANNELS)
    shapes: dict[str, Shape] = {
        "patch_embedding.weight": (dim, config["in_dim"], *PATCH),
        "patch_embedding.bias": (dim,),
    }
    shapes |= _linear("text_embedding.0", dim, config.get("text_dim", 4096)) | _linear("text_embedding.2", dim, dim)
    shapes |= _linear("time_embedding.0", dim, config["freq_dim"]) | _linear("time_embedding.2", dim, dim)
    shapes |= _linear("time_projection.1", 6 * dim, dim)
    shapes |= _norm("img_emb.proj.0", image) | _linear("img_emb.proj.1", image, image)
    shapes |= _linear("img_emb.proj.3", dim, image) | _norm("img_emb.proj.4", dim)
    for block in (f"blocks.{number}" for number in range(config["num_layers"])):
        shapes[f"{block}.modulation"] = (1, 6, dim)
        for attention, layers, norms in (
            ("self_attn", "q k v o", "norm_q norm_k"),
            ("cross_attn", "q k v o k_img v_img", "norm_q norm_k norm_k_img"),
        ):
            for layer in layers.split():
                shapes |= _linear(f"{block}.{attention}.{layer}", dim, dim)
            shapes |= {f"{block}.{attention}.{norm}.weight": (dim,) for norm in norms.split()}
        shapes |= (
            _norm(f"{block}.norm3", dim) | _linear(f"{block}.ffn.0", ffn, dim) | _linear(f"{block}.ffn.2", dim, ffn)
        )
    shapes["head.modulation"] = (1, 2, dim)
    return shapes | _linear("head.head", PATCH[1] * PATCH[2] * config["out_dim"], dim)


def adapter_shapes(config: Mapping[str, Any]) -> dict[str, Shape]:
    """Weights of InfiniteTalk's adapter: 330 for the 14B model.

    Args:
        config: The base's; ``intermediate_dim``, ``context_tokens`` and ``output_dim`` where they aren't 512, 32 and 768.
    """
    dim, hidden = config["dim"], config.get("intermediate_dim", 512)
    tokens, channels = config.get("context_tokens", 32), config.get("output_dim", 768)
    shapes = _linear("audio_proj.proj1", hidden, WINDOW * FEATURES) | _linear(
        "audio_proj.proj1_vf", hidden, SPAN * FEATURES
    )
    shapes |= _linear("audio_proj.proj2", hidden, hidden) | _linear("audio_proj.proj3", tokens * channels, hidden)
    shapes |= _norm("audio_proj.norm", channels)
    for block in (f"blocks.{number}" for number in range(config["num_layers"])):
        attention = f"{block}.audio_cross_attn"
        shapes |= _norm(f"{block}.norm_x", dim) | _linear(f"{attention}.q_linear", dim, dim)
        shapes |= _linear(f"{attention}.kv_linear", 2 * dim, channels) | _linear(f"{attention}.proj", dim, dim)
    return shapes


def weight_names(layers: int) -> list[str]:
    """Names of a transformer's weights, adapter included; they do not depend on its width.

    Args:
        layers: The number of its blocks.
    """
    narrowest = dict.fromkeys(("dim", "ffn_dim", "freq_dim", "in_dim", "out_dim"), 1) | {"num_layers": layers}
    return [*base_shapes(narrowest), *adapter_shapes(narrowest)]


def _linear(name: str, out: int, into: int) -> dict[str, Shape]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


class BadHeaderError(Exception):
    """A file is not safetensors, or is truncated. The message is the end of a sentence about the file."""


def read_shapes(path: Path) -> dict[str, Shape]:
    """Names and shapes of a safetensors file, from its header.

    Raises:
        BadHeaderError: When it is not safetensors, or shorter than its header says.
    """
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else LONGEST_HEADER + 1
        if length > LONGEST_HEADER:
            raise BadHeaderError("is not a safetensors file")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            header.pop("__metadata__", None)
            end = max((operator.index(tensor["data_offsets"][1]) for tensor in header.values()), default=0)
            shapes = {name: tuple(map(operator.index, tensor["shape"])) for name, tensor in header.items()}
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
            raise BadHeaderError("has a broken header") from error
    size = path.stat().st_size
    if size != 8 + length + end:
        raise BadHeaderError(f"has {size:,} bytes instead of {8 + length + end:,}: fetch it again")
    return shapes


def some_weights(names: list[str]) -> str:
    """The number of weights and the first of their names, for messages."""
    return f"{len(names)} weights ({', '.join(names[:LISTED])}{', …' if len(names) > LISTED else ''})"
