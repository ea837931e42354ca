"""The transformer against the published one, in float32 on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.summaries import assert_matches_summary
from torch import Tensor, nn

from talkingvideo_worker.engines.infinitetalk import Condition, build_transformer, predict_velocity
from talkingvideo_worker.engines.infinitetalk.transformer import (
    AudioProjection,
    AudioWanTransformer3DModel,
    attention_to_regions,
)

RECORD, ARRAYS = read_recording("dit")
OUTPUT_TOLERANCE = 1e-4
MAP_TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def transformer() -> AudioWanTransformer3DModel:
    return build_transformer(frozen.DIT["config"], frozen.state_dict(frozen.DIT["set"], RECORD["weights"]))


@pytest.fixture(scope="module")
def inputs() -> dict[str, Tensor]:
    return {name: torch.as_tensor(value) for name, value in frozen.dit_inputs(frozen.DIT).items()}


def predict(transformer: AudioWanTransformer3DModel, inputs: dict[str, Tensor], case: str) -> Tensor:
    text, audio, masks = frozen.DIT_CASES[case]
    encoded_audio = transformer.encode_audio(inputs[audio], inputs[masks])
    condition = Condition(inputs["y"], inputs["clip_fea"], inputs[text], encoded_audio)
    return predict_velocity(transformer, inputs["x"], frozen.DIT["t"], condition)


@pytest.mark.parametrize("case", frozen.DIT_CASES)
def test_the_velocity_is_the_published_one(
    transformer: AudioWanTransformer3DModel, inputs: dict[str, Tensor], case: str
) -> None:
    np.testing.assert_allclose(predict(transformer, inputs, case), ARRAYS[case], rtol=0, atol=OUTPUT_TOLERANCE)


def recorded_modules(transformer: AudioWanTransformer3DModel) -> dict[str, tuple[nn.Module, str]]:
    """Recorded name: (module, whether its first input or its output)."""
    embedder = transformer.condition_embedder
    modules: dict[str, tuple[nn.Module, str]] = {
        "patch_embedding": (transformer.patch_embedding, "out"),
        "time_embedding_e": (embedder.time_embedder, "out"),
        "time_projection_e0_flat": (embedder.time_proj, "out"),
        "text_embedding": (embedder.text_embedder, "out"),
        "img_emb": (embedder.image_embedder, "out"),
        "audio_proj_out": (transformer.audio_proj, "out"),
        "head_out": (transformer.proj_out, "out"),
    }
    parts = {"self_attn": "attn1", "cross_attn": "attn2", "audio_attn": "audio_attn", "ffn": "ffn"}
    for number, block in enumerate(transformer.blocks):
        for recorded, ours in parts.items():
            for end in ("in", "out"):
                modules[f"blocks.{number}.{recorded}_{end}"] = (getattr(block, ours), end)
        modules[f"blocks.{number}.out"] = (block, "out")
    return modules


@pytest.mark.parametrize("case", frozen.DIT_CASES)
def test_every_intermediate_is_the_published_one(
    transformer: AudioWanTransformer3DModel, inputs: dict[str, Tensor], case: str
) -> None:
    seen: dict[str, Tensor] = {}

    def watch(name: str, end: str) -> Any:
        def hook(_module: nn.Module, args: tuple[Any, ...], out: Any) -> None:
            value = args[0] if end == "in" else out
            seen[name] = value[0] if isinstance(value, tuple) else value

        return hook

    def audio(projection: nn.Module, args: tuple[Any, ...]) -> None:
        assert isinstance(projection, AudioProjection)
        seen["audio_proj_in_first"] = args[0][:, :1]
        seen["audio_proj_in_latter"] = projection.spans(args[0][:, 1:])

    hooks = [m.register_forward_hook(watch(name, end)) for name, (m, end) in recorded_modules(transformer).items()]
    hooks.append(transformer.audio_proj.register_forward_pre_hook(audio))
    try:
        found = predict(transformer, inputs, case)
    finally:
        for handle in hooks:
            handle.remove()
    recorded = RECORD["cases"][case]
    assert_matches_summary(found, recorded["output"], OUTPUT_TOLERANCE)
    maps = {name for name in recorded["intermediates"] if name.endswith("x_ref_attn_map")}
    assert maps == {name.removeprefix(f"{case}.") for name in ARRAYS if name.startswith(f"{case}.")}
    for name in recorded["intermediates"].keys() - maps:
        assert_matches_summary(seen[name], recorded["intermediates"][name], OUTPUT_TOLERANCE)


def test_tokens_attend_to_the_regions_as_published(
    transformer: AudioWanTransformer3DModel, inputs: dict[str, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    maps: list[Tensor] = []

    def keeping(query: Tensor, key: Tensor, masks: Tensor) -> Tensor:
        maps.append(attention_to_regions(query, key, masks))
        return maps[-1]

    monkeypatch.setattr("talkingvideo_worker.engines.infinitetalk.transformer.attention_to_regions", keeping)
    predict(transformer, inputs, "two_cond")
    assert len(maps) == len(transformer.blocks)
    for number, found in enumerate(maps):
        recorded = ARRAYS[f"two_cond.blocks.{number}.x_ref_attn_map"]
        np.testing.assert_allclose(found[0], recorded, rtol=0, atol=MAP_TOLERANCE)
        assert (found[0].argmax(0).numpy() == recorded.argmax(0)).all()
        summary = RECORD["cases"]["two_cond"]["intermediates"][f"blocks.{number}.x_ref_attn_map"]
        assert_matches_summary(found[0].reshape(summary["shape"]), summary, MAP_TOLERANCE)
