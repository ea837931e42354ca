"""InfiniteTalk's transformer step by step in float64, with loops and whole matrices: slow and plain.

From the papers and the published weights' names, with nothing of the package and of diffusers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

Weights = Mapping[str, Tensor]


def velocity(
    config: Mapping[str, Any], weights: Weights, given: Mapping[str, Tensor], timestep: float, masks: Tensor | None
) -> Tensor:
    """One prediction.

    Args:
        config: As for ``build_transformer``.
        weights: By their published names, float64.
        given: ``latents``, ``reference``, ``text``, ``image`` and ``windows``, float64.
        timestep: 0..1000.
        masks: (3, h, w) for two speakers.
    """
    width, heads, eps = config["dim"], config["num_heads"], config["eps"]
    model = torch.cat([given["latents"], given["reference"]])
    grid = F.conv3d(model[None], weights["patch_embedding.weight"], weights["patch_embedding.bias"], stride=(1, 2, 2))[
        0
    ]
    frames, rows, columns = grid.shape[1:]
    x = grid.permute(1, 2, 3, 0).reshape(-1, width)

    half = config["freq_dim"] // 2
    angles = timestep * 10000 ** (-torch.arange(half, dtype=torch.float64) / half)
    embedded = _two_layers(weights, "time_embedding", torch.cat([angles.cos(), angles.sin()]), F.silu)
    modulation = _linear(weights, "time_projection.1", F.silu(embedded)).reshape(6, width)

    padded = torch.zeros(512, config["text_dim"], dtype=torch.float64)
    padded[: len(given["text"])] = given["text"]
    text = _two_layers(weights, "text_embedding", padded, lambda v: F.gelu(v, approximate="tanh"))
    image = _norm(given["image"], 1e-5, weights, "img_emb.proj.0")
    image = _linear(weights, "img_emb.proj.3", F.gelu(_linear(weights, "img_emb.proj.1", image)))
    image = _norm(image, 1e-5, weights, "img_emb.proj.4")
    sound = _sound(weights, given["windows"], config.get("output_dim", 768))

    rotation = _rotation(width // heads, frames, rows, columns)
    regions = None if masks is None else masks[:, ::2, ::2].reshape(3, -1).gt(0).double()
    for number in range(config["num_layers"]):
        name = f"blocks.{number}"
        shift, scale, gate, ffn_shift, ffn_scale, ffn_gate = (weights[f"{name}.modulation"][0] + modulation).unbind(0)
        normed = _norm(x, eps) * (1 + scale) + shift
        query = _rms(_linear(weights, f"{name}.self_attn.q", normed), weights[f"{name}.self_attn.norm_q.weight"], eps)
        key = _rms(_linear(weights, f"{name}.self_attn.k", normed), weights[f"{name}.self_attn.norm_k.weight"], eps)
        query, key = (_turned(_split(part, heads), rotation) for part in (query, key))
        value = _split(_linear(weights, f"{name}.self_attn.v", normed), heads)
        x = x + gate * _linear(weights, f"{name}.self_attn.o", _attend(query, key, value))

        cross = f"{name}.cross_attn"
        normed = _norm(x, eps, weights, f"{name}.norm3")
        asked = _split(_rms(_linear(weights, f"{cross}.q", normed), weights[f"{cross}.norm_q.weight"], eps), heads)
        found = torch.zeros_like(x)
        for context, suffix in ((text, ""), (image, "_img")):
            keys = _rms(_linear(weights, f"{cross}.k{suffix}", context), weights[f"{cross}.norm_k{suffix}.weight"], eps)
            values = _linear(weights, f"{cross}.v{suffix}", context)
            found = found + _attend(asked, _split(keys, heads), _split(values, heads))
        x = x + _linear(weights, f"{cross}.o", found)

        positions = None
        if len(sound) == 2 and regions is not None:
            positions = _positions(query, key[:, : rows * columns], regions)
        x = x + _audio_attention(weights, name, _norm(x, eps, weights, f"{name}.norm_x"), sound, positions, heads)

        normed = _norm(x, eps) * (1 + ffn_scale) + ffn_shift
        hidden = F.gelu(_linear(weights, f"{name}.ffn.0", normed), approximate="tanh")
        x = x + ffn_gate * _linear(weights, f"{name}.ffn.2", hidden)

    shift, scale = (weights["head.modulation"][0] + embedded).unbind(0)
    patches = _linear(weights, "head.head", _norm(x, eps) * (1 + scale) + shift)
    patches = patches.reshape(frames, rows, columns, 2, 2, -1)
    return patches.permute(5, 0, 1, 3, 2, 4).reshape(-1, frames, 2 * rows, 2 * columns)


def _sound(weights: Weights, windows: Tensor, channels: int) -> Tensor:
    """(speakers, latent frames, tokens, channels)."""
    reach = windows.shape[2] // 2
    speakers = []
    for track in windows:
        groups = [F.relu(_linear(weights, "audio_proj.proj1", track[0].flatten()))]
        for first in range(1, len(track), 4):
            rows = [track[first][row] for row in range(reach + 1)]
            rows += [track[first + 1][reach], track[first + 2][reach]]
            rows += [track[first + 3][row] for row in range(reach, 2 * reach + 1)]
            groups.append(F.relu(_linear(weights, "audio_proj.proj1_vf", torch.stack(rows).flatten())))
        hidden = F.relu(_linear(weights, "audio_proj.proj2", torch.stack(groups)))
        tokens = _linear(weights, "audio_proj.proj3", hidden).reshape(len(groups), -1, channels)
        speakers.append(_norm(tokens, 1e-5, weights, "audio_proj.norm"))
    return torch.stack(speakers)


def _positions(query: Tensor, key: Tensor, regions: Tensor) -> Tensor:
    """Of each token, by the whole matrix of its attention to the tokens of the first frame."""
    matrix = (query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])).softmax(-1)
    looks = torch.stack([(matrix * region).sum(-1).mean(0) / max(float(region.sum()), 1.0) for region in regions])
    positions = []
    for token in range(looks.shape[1]):
        speaker = int(looks[:, token].argmax())
        if speaker == 2:
            positions.append(12.0)
            continue
        low, high = float(looks[speaker].min()), float(looks[speaker].max())
        positions.append(20.0 * speaker + 4 * (float(looks[speaker, token]) - low) / (high - low + 1e-8))
    return torch.tensor(positions, dtype=torch.float64)


def _audio_attention(
    weights: Weights, name: str, x: Tensor, sound: Tensor, positions: Tensor | None, heads: int
) -> Tensor:
    attention, frames = f"{name}.audio_cross_attn", sound.shape[1]
    queries = _split(_linear(weights, f"{attention}.q_linear", x), heads)
    if positions is not None:
        queries = _turned(queries, _angles(positions, queries.shape[-1]))
    out = []
    for frame, query in enumerate(queries.chunk(frames, 1)):
        tokens = torch.cat(list(sound[:, frame]))
        key, value = (_split(part, heads) for part in _linear(weights, f"{attention}.kv_linear", tokens).chunk(2, -1))
        if positions is not None:
            places = torch.tensor([2.0] * sound.shape[2] + [22.0] * sound.shape[2], dtype=torch.float64)
            key = _turned(key, _angles(places, key.shape[-1]))
        out.append(_attend(query, key, value))
    return _linear(weights, f"{attention}.proj", torch.cat(out))


def _rotation(channels: int, frames: int, rows: int, columns: int) -> Tensor:
    """Angles (tokens, channels / 2) of the three axes."""
    space = 2 * (channels // 6)
    tokens = []
    for frame in range(frames):
        for row in range(rows):
            for column in range(columns):
                axes: Sequence[tuple[int, int]] = ((frame, channels - 2 * space), (row, space), (column, space))
                tokens.append(torch.cat([_angles(torch.tensor(place), size) for place, size in axes]))
    return torch.stack(tokens)


def _angles(positions: Tensor, channels: int) -> Tensor:
    return positions.double()[..., None] * 10000 ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)


def _turned(x: Tensor, angles: Tensor) -> Tensor:
    pairs = torch.view_as_complex(x.unflatten(-1, (-1, 2)).contiguous())
    turned: Tensor = torch.view_as_real(pairs * torch.polar(torch.ones_like(angles), angles)).flatten(-2)
    return turned


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """(heads, n, channels) to (n, heads * channels)."""
    matrix = (query @ key.transpose(1, 2) / math.sqrt(query.shape[-1])).softmax(-1)
    return (matrix @ value).transpose(0, 1).flatten(1)


def _split(x: Tensor, heads: int) -> Tensor:
    split: Tensor = x.unflatten(-1, (heads, -1)).transpose(0, 1)
    return split


def _linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _two_layers(weights: Weights, name: str, x: Tensor, between: Any) -> Tensor:
    return _linear(weights, f"{name}.2", between(_linear(weights, f"{name}.0", x)))


def _norm(x: Tensor, eps: float, weights: Weights | None = None, name: str = "") -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    normed: Tensor = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return normed if weights is None else normed * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _rms(x: Tensor, gain: Tensor, eps: float) -> Tensor:
    normed: Tensor = x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * gain
    return normed
