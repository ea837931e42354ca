"""Models, windows and pictures of other shapes than the recorded ones, against the reference transformer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.worker.infinitetalk import reference_transformer
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.test_transformer import PUBLISHED, published_names
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import Condition, build_transformer, predict_velocity
from talkingvideo_worker.engines.infinitetalk.weights.transformer import empty_transformer

Size = tuple[int, int, int]


def config(dim: int, heads: int, layers: int, **others: int) -> dict[str, Any]:
    small = {"dim": dim, "num_heads": heads, "num_layers": layers, "ffn_dim": 48, "text_dim": 16, "intermediate_dim": 8}
    return PUBLISHED | small | {"output_dim": 24} | others


CASES: dict[str, tuple[dict[str, Any], Size, int]] = {
    "one head": (config(24, 1, 1), (2, 4, 6), 1),
    "three heads": (config(96, 3, 2), (3, 4, 4), 1),
    "three heads, two speakers": (config(96, 3, 2), (3, 6, 8), 2),
    "the published head": (config(256, 2, 1, freq_dim=64, ffn_dim=96), (2, 4, 4), 2),
    "few audio tokens": (config(64, 4, 3, context_tokens=3, output_dim=8), (4, 2, 10), 2),
    "wide audio windows": (config(48, 2, 1, audio_window=7), (3, 4, 4), 1),
    "a single frame": (config(48, 2, 1), (1, 4, 4), 1),
}


def weights_of(shape: dict[str, Any]) -> dict[str, Tensor]:
    ours = {name: value.shape for name, value in empty_transformer(shape).state_dict().items()}
    names = published_names(shape["num_layers"])
    return {name: torch.from_numpy(frozen.weight("shapes", name, ours[own])) for name, own in names.items()}


def inputs_of(shape: dict[str, Any], size: Size, speakers: int) -> dict[str, Tensor]:
    shapes = {
        "latents": (16, *size),
        "reference": (20, *size),
        "text": (11, shape["text_dim"]),
        "image": (257, 1280),
        "windows": (speakers, 1 + 4 * (size[0] - 1), shape.get("audio_window", 5), 12, 768),
    }
    return {name: torch.from_numpy(frozen.normal("shapes", name, dimensions)) for name, dimensions in shapes.items()}


def regions_of(size: Size) -> Tensor:
    masks = torch.zeros(3, *size[1:])
    third = size[2] // 3
    masks[0, :, :third], masks[1, 1:, -third:] = 1, 1
    masks[2] = 1 - masks[0] - masks[1]
    return masks


def differ(case: str, masks: Tensor | None) -> float:
    shape, size, speakers = CASES[case]
    weights, given = weights_of(shape), inputs_of(shape, size, speakers)
    transformer = build_transformer(shape, weights)
    encoded_audio = transformer.encode_audio(given["windows"], masks)
    condition = Condition(given["reference"], given["image"], given["text"], encoded_audio)
    found = predict_velocity(transformer, given["latents"], 412.5, condition)
    precise = [{name: value.double() for name, value in values.items()} for values in (weights, given)]
    expected = reference_transformer.velocity(shape, precise[0], precise[1], 412.5, masks)
    assert expected.std() > 0.1
    return float((found - expected).abs().max())


@pytest.mark.parametrize("case", CASES)
def test_a_prediction_is_that_of_the_reference_transformer(case: str) -> None:
    _, size, speakers = CASES[case]
    assert differ(case, regions_of(size) if speakers == 2 else None) < 1e-4


@pytest.mark.parametrize("empty", [0, 1, 2])
def test_an_empty_region_has_no_tokens(empty: int) -> None:
    case = "three heads, two speakers"
    masks = regions_of(CASES[case][1])
    masks[empty] = 0
    assert differ(case, masks) < 1e-4


def test_overlapping_regions_both_count() -> None:
    case = "three heads, two speakers"
    masks = regions_of(CASES[case][1])
    masks[1] = masks[0]
    masks[1, 0] = 0
    assert differ(case, masks) < 1e-4
