"""Names of weights: from the published checkpoints to the modules of diffusers, transformers and this engine.

Patterns match whole names, so their order does not matter, and a name that no pattern matches is an error. The substring
replacements of the usual converters would rename the adapter's ``audio_cross_attn`` as if it were the base's
``cross_attn``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from torch import Tensor

Value = TypeVar("Value")

Renames = Sequence[tuple[str, str]]
"""(pattern of a whole name, its replacement). ``{end}`` stands for weight or bias, ``{n}`` for a block's number."""

BASE: Renames = (
    (r"patch_embedding\.{end}", r"patch_embedding.\1"),
    (r"text_embedding\.0\.{end}", r"condition_embedder.text_embedder.linear_1.\1"),
    (r"text_embedding\.2\.{end}", r"condition_embedder.text_embedder.linear_2.\1"),
    (r"time_embedding\.0\.{end}", r"condition_embedder.time_embedder.linear_1.\1"),
    (r"time_embedding\.2\.{end}", r"condition_embedder.time_embedder.linear_2.\1"),
    (r"time_projection\.1\.{end}", r"condition_embedder.time_proj.\1"),
    (r"img_emb\.proj\.0\.{end}", r"condition_embedder.image_embedder.norm1.\1"),
    (r"img_emb\.proj\.1\.{end}", r"condition_embedder.image_embedder.ff.net.0.proj.\1"),
    (r"img_emb\.proj\.3\.{end}", r"condition_embedder.image_embedder.ff.net.2.\1"),
    (r"img_emb\.proj\.4\.{end}", r"condition_embedder.image_embedder.norm2.\1"),
    (r"blocks\.{n}\.modulation", r"blocks.\1.scale_shift_table"),
    (r"blocks\.{n}\.self_attn\.([qkv])\.{end}", r"blocks.\1.attn1.to_\2.\3"),
    (r"blocks\.{n}\.self_attn\.o\.{end}", r"blocks.\1.attn1.to_out.0.\2"),
    (r"blocks\.{n}\.self_attn\.norm_([qk])\.weight", r"blocks.\1.attn1.norm_\2.weight"),
    (r"blocks\.{n}\.cross_attn\.([qkv])\.{end}", r"blocks.\1.attn2.to_\2.\3"),
    (r"blocks\.{n}\.cross_attn\.o\.{end}", r"blocks.\1.attn2.to_out.0.\2"),
    (r"blocks\.{n}\.cross_attn\.norm_([qk])\.weight", r"blocks.\1.attn2.norm_\2.weight"),
    (r"blocks\.{n}\.cross_attn\.([kv])_img\.{end}", r"blocks.\1.attn2.add_\2_proj.\3"),
    (r"blocks\.{n}\.cross_attn\.norm_k_img\.weight", r"blocks.\1.attn2.norm_added_k.weight"),
    # The original numbers norms in the order of creation, diffusers in the order of use.
    (r"blocks\.{n}\.norm3\.{end}", r"blocks.\1.norm2.\2"),
    (r"blocks\.{n}\.ffn\.0\.{end}", r"blocks.\1.ffn.net.0.proj.\2"),
    (r"blocks\.{n}\.ffn\.2\.{end}", r"blocks.\1.ffn.net.2.\2"),
    (r"head\.modulation", r"scale_shift_table"),
    (r"head\.head\.{end}", r"proj_out.\1"),
)
"""Wan 2.1's image-to-video transformer to diffusers' ``WanTransformer3DModel``."""

ADAPTER: Renames = (
    (r"audio_proj\.(proj1|proj1_vf|proj2|proj3|norm)\.{end}", r"audio_proj.\1.\2"),
    (r"blocks\.{n}\.norm_x\.{end}", r"blocks.\1.norm_x.\2"),
    (r"blocks\.{n}\.audio_cross_attn\.q_linear\.{end}", r"blocks.\1.audio_attn.to_q.\2"),
    (r"blocks\.{n}\.audio_cross_attn\.kv_linear\.{end}", r"blocks.\1.audio_attn.to_kv.\2"),
    (r"blocks\.{n}\.audio_cross_attn\.proj\.{end}", r"blocks.\1.audio_attn.to_out.\2"),
)
"""InfiniteTalk's adapter to what ``AudioWanTransformer3DModel`` adds: 10 names, and 8 per block."""

IMAGE_ENCODER: Renames = (
    (r"patch_embedding\.weight", r"embeddings.patch_embedding.weight"),
    (r"cls_embedding", r"embeddings.class_embedding"),
    (r"pos_embedding", r"embeddings.position_embedding.weight"),
    (r"pre_norm\.{end}", r"pre_layrnorm.\1"),
    (r"post_norm\.{end}", r"post_layernorm.\1"),
    (r"transformer\.{n}\.norm([12])\.{end}", r"encoder.layers.\1.layer_norm\2.\3"),
    (r"transformer\.{n}\.attn\.([qkv])\.{end}", r"encoder.layers.\1.self_attn.\2_proj.\3"),
    (r"transformer\.{n}\.attn\.proj\.{end}", r"encoder.layers.\1.self_attn.out_proj.\2"),
    (r"transformer\.{n}\.mlp\.0\.{end}", r"encoder.layers.\1.mlp.fc1.\2"),
    (r"transformer\.{n}\.mlp\.2\.{end}", r"encoder.layers.\1.mlp.fc2.\2"),
)
"""Wan 2.1's CLIP tower, queries, keys and values split, to transformers' ``CLIPVisionModel``."""

TEXT_ENCODER: Renames = (
    (r"token_embedding\.weight", r"shared.weight"),
    (r"norm\.weight", r"encoder.final_layer_norm.weight"),
    (r"blocks\.{n}\.norm1\.weight", r"encoder.block.\1.layer.0.layer_norm.weight"),
    (r"blocks\.{n}\.norm2\.weight", r"encoder.block.\1.layer.1.layer_norm.weight"),
    (r"blocks\.{n}\.attn\.([qkvo])\.weight", r"encoder.block.\1.layer.0.SelfAttention.\2.weight"),
    (
        r"blocks\.{n}\.pos_embedding\.embedding\.weight",
        r"encoder.block.\1.layer.0.SelfAttention.relative_attention_bias.weight",
    ),
    (r"blocks\.{n}\.ffn\.gate\.0\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wi_0.weight"),
    (r"blocks\.{n}\.ffn\.fc1\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wi_1.weight"),
    (r"blocks\.{n}\.ffn\.fc2\.weight", r"encoder.block.\1.layer.1.DenseReluDense.wo.weight"),
)
"""Wan 2.1's umT5 to transformers' ``UMT5EncoderModel``."""


def rename_keys(names: Iterable[str], renames: Renames) -> dict[str, str]:
    """Rename names by a table.

    Args:
        names: Published names.
        renames: The table.

    Returns:
        From published names to ours; names that match no pattern are left out.
    """
    table = [(_compiled(pattern), replacement) for pattern, replacement in renames]
    found = {}
    for name in names:
        for pattern, replacement in table:
            if match := pattern.fullmatch(name):
                found[name] = match.expand(replacement)
                break
    return found


def rename_weights(weights: Mapping[str, Value], renames: Renames) -> dict[str, Value]:
    """The same values under our names.

    Raises:
        KeyError: For names that match no pattern.
    """
    names = rename_keys(weights, renames)
    if unknown := [name for name in weights if name not in names]:
        raise KeyError(f"{len(unknown)} weights with unknown names, such as {unknown[0]}")
    return {names[name]: value for name, value in weights.items()}


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("{end}", "(weight|bias)").replace("{n}", r"(\d+)"))


def video_codec_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published VAE by the names of ``AutoencoderKLWan``."""
    converted: dict[str, Tensor] = convert_wan_vae_to_diffusers(dict(weights))
    return converted


def image_encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of the published CLIP image encoder by the names of ``CLIPVisionModel``.

    Args:
        weights: Without the prefix ``visual.``. The projection after the last block (``head``) is not used.
    """
    split: dict[str, Tensor] = {}
    for name, value in weights.items():
        if ".to_qkv." in name:
            parts = zip("qkv", value.chunk(3), strict=True)
            split |= {name.replace("to_qkv", letter): part for letter, part in parts}
        elif name != "head":
            split[name] = value
    split["cls_embedding"] = split["cls_embedding"].flatten()
    split["pos_embedding"] = split["pos_embedding"][0]
    return rename_weights(split, IMAGE_ENCODER)


def text_encoder_weights(weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Weights of the published umT5 by the names of ``UMT5EncoderModel``, which has two names for its embedding."""
    rename_keys = rename_weights(weights, TEXT_ENCODER)
    return rename_keys | {"encoder.embed_tokens.weight": rename_keys["shared.weight"]}
