"""The three public functions take arrays of numpy and of torch, of any float type, and refuse what cannot fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.conftest import TEXT_CHANNELS, TinyCodec, TinyStage
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import (
    Condition,
    Encoders,
    Material,
    predict_velocity,
    render_windows,
    window_spans,
)
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

Convert = Callable[[Any], Any]

CONVERSIONS: dict[str, Convert] = {
    "torch, float64": lambda value: value.double(),
    "numpy, float32": lambda value: value.numpy(),
    "numpy, float64": lambda value: value.double().numpy(),
}
as_given = pytest.mark.parametrize("convert", CONVERSIONS.values(), ids=CONVERSIONS)


@pytest.fixture
def given() -> dict[str, Tensor]:
    torch.manual_seed(4)
    regions = torch.zeros(3, 4, 6)
    regions[0, :, :2], regions[1, :, 4:], regions[2, :, 2:4] = 1, 1, 1
    return {
        "latents": torch.randn(16, 3, 4, 6),
        "reference": torch.randn(20, 3, 4, 6),
        "image": torch.randn(257, 8),
        "text": torch.randn(7, TEXT_CHANNELS),
        "windows": torch.randn(2, 9, 5, 1, 4),
        "regions": regions,
    }


def velocity(transformer: AudioWanTransformer3DModel, given: dict[str, Any], timestep: Any = 731.25) -> Tensor:
    encoded_audio = transformer.encode_audio(given["windows"], given["regions"])
    condition = Condition(given["reference"], given["image"], given["text"], encoded_audio)
    return predict_velocity(transformer, given["latents"], timestep, condition)


@as_given
def test_a_prediction_takes_arrays_of_any_kind(
    tiny_transformer: AudioWanTransformer3DModel, given: dict[str, Tensor], convert: Convert
) -> None:
    found = velocity(tiny_transformer, {name: convert(value) for name, value in given.items()})
    assert torch.equal(found, velocity(tiny_transformer, given))
    assert found.dtype == torch.float32


@pytest.mark.parametrize("timestep", [np.float64(731.25), np.array([731.25]), torch.tensor([731.25])])
def test_a_timestep_may_be_an_array_of_one(
    tiny_transformer: AudioWanTransformer3DModel, given: dict[str, Tensor], timestep: Any
) -> None:
    assert torch.equal(velocity(tiny_transformer, given, timestep), velocity(tiny_transformer, given))


def test_text_is_padded_with_zeros_to_512_tokens(
    tiny_transformer: AudioWanTransformer3DModel, given: dict[str, Tensor]
) -> None:
    padded = torch.cat([given["text"], torch.zeros(512 - 7, TEXT_CHANNELS)])
    assert torch.equal(velocity(tiny_transformer, given | {"text": padded}), velocity(tiny_transformer, given))
    assert velocity(tiny_transformer, given | {"text": torch.zeros(0, TEXT_CHANNELS)}).isfinite().all()


def test_text_of_more_than_512_tokens_is_refused(
    tiny_transformer: AudioWanTransformer3DModel, given: dict[str, Tensor]
) -> None:
    with pytest.raises(ValueError, match="513 tokens"):
        velocity(tiny_transformer, given | {"text": torch.randn(513, TEXT_CHANNELS)})


def test_audio_of_another_length_than_the_latents_is_refused(
    tiny_transformer: AudioWanTransformer3DModel, given: dict[str, Tensor]
) -> None:
    """Audio of two latent frames would divide the tokens of four evenly, at the wrong times."""
    longer = {name: torch.cat([given[name], given[name][:, :1]], 1) for name in ("latents", "reference")}
    with pytest.raises(ValueError, match="audio for 2 latent frames, not 4"):
        velocity(tiny_transformer, given | longer | {"windows": given["windows"][:, :5]})


@as_given
def test_the_loop_takes_arrays_of_any_kind(tiny_transformer: AudioWanTransformer3DModel, convert: Convert) -> None:
    stage, codec = TinyStage(17, window=9, motion=5), TinyCodec()
    plain, encoders = stage.material, stage.encoders
    regions = torch.zeros(3, 2, 2)
    regions[0, 0], regions[1, 1] = 1, 1

    class Converting:
        def encode(self, video: Tensor) -> Tensor:
            assert video.dtype == torch.float32
            return cast(Tensor, convert(codec.encode(video)))

        def decode(self, latents: Tensor) -> Tensor:
            return cast(Tensor, convert(codec.decode(latents)))

    class Pair:
        def windows(self, start: int, frames: int) -> Any:
            one = plain.audio.windows(start, frames)
            return convert(torch.from_numpy(np.concatenate([one, -one])))

    picture = convert(stage.picture)
    converted = Material(lambda _: picture, Pair(), lambda *of: convert(plain.noise(*of)), convert(regions))
    arrays = Encoders(Converting(), lambda of: convert(encoders.image(of)), lambda of: convert(encoders.text(of)))
    spans = window_spans(0, (9, 4, 4), motion=5)
    found = list(render_windows(tiny_transformer, arrays, stage.settings, converted, spans))
    pair = replace(plain, audio=_Doubled(plain), regions=regions)
    expected = list(render_windows(tiny_transformer, encoders, stage.settings, pair, spans))
    assert all(torch.allclose(a.frames, b.frames, atol=1e-5) for a, b in zip(found, expected, strict=True))
    left = found[0].motion.numpy().astype(np.float64)
    rest = list(render_windows(tiny_transformer, arrays, stage.settings, converted, spans[1:], left))
    assert torch.allclose(rest[0].frames, found[1].frames, atol=1e-5)


class _Doubled:
    """One speaker's features, and the same with the other sign for the second."""

    def __init__(self, material: Material) -> None:
        self._hearing = material.audio

    def windows(self, start: int, frames: int) -> Any:
        one = self._hearing.windows(start, frames)
        return np.concatenate([one, -one])
