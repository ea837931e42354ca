"""Names and shapes of the published transformer's weights, from a configuration alone: no torch, so no waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Shape = tuple[int, ...]

FEATURES = 12 * 768
"""Values of one feature of speech: layers by channels."""

WINDOW = 5
"""Features that one video frame hears."""

SPAN = 8
"""Features that a latent frame of four video frames hears."""

CLIP_CHANNELS = 1280
PATCH = (1, 2, 2)


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
    """Names of a whole transformer's weights, adapter included, of whatever width.

    Args:
        layers: How many blocks it has.
    """
    narrowest = dict.fromkeys(("dim", "ffn_dim", "freq_dim", "in_dim", "out_dim"), 1) | {"num_layers": layers}
    return [*base_shapes(narrowest), *adapter_shapes(narrowest)]


def _linear(name: str, out: int, into: int) -> dict[str, Shape]:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
