"""The transformer as an extension of diffusers' own."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import save_file
from tests.worker.infinitetalk.whole_model import adapter_shapes, load_adapter
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.infinitetalk import build_transformer
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel, Blocks
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, rename_keys
from talkingvideo_worker.engines.infinitetalk.weights.transformer import dtype_of, empty_transformer

PUBLISHED = {
    "text_dim": 4096,
    "in_dim": 36,
    "dim": 5120,
    "ffn_dim": 13824,
    "freq_dim": 256,
    "out_dim": 16,
    "num_heads": 40,
    "num_layers": 40,
    "eps": 1e-6,
}
WAN_CONFIG = ("dim", "eps", "ffn_dim", "freq_dim", "in_dim", "num_heads", "num_layers", "out_dim")
"""What the published ``config.json`` says of the size."""

SMALL = PUBLISHED | {"text_dim": 8, "dim": 24, "ffn_dim": 32, "freq_dim": 16, "num_heads": 1, "num_layers": 2}
SMALL |= {"intermediate_dim": 4, "context_tokens": 2, "output_dim": 8}


def random_weights(model: AudioWanTransformer3DModel, names: dict[str, str]) -> dict[str, Tensor]:
    """Random weights under published names; ``names`` gives ours of each."""
    torch.manual_seed(3)
    shapes = {name: value.shape for name, value in model.state_dict().items()}
    return {name: torch.randn(shapes[ours]) for name, ours in names.items()}


def published_names(layers: int) -> dict[str, str]:
    """All published names of a model, with ours, made from the tables' patterns."""
    names: list[str] = []
    for pattern, _ in (*BASE, *ADAPTER):
        texts = [pattern.replace("\\", "")]
        for group, values in (
            ("{end}", ("weight", "bias")),
            ("{n}", [str(i) for i in range(layers)]),
            ("([qkv])", "qkv"),
            ("([qk])", "qk"),
            ("([kv])", "kv"),
            ("(proj1|proj1_vf|proj2|proj3|norm)", ("proj1", "proj1_vf", "proj2", "proj3", "norm")),
        ):
            texts = [text.replace(group, value) for text in texts for value in (values if group in text else ("",))]
        names += texts
    return rename_keys(names, (*BASE, *ADAPTER))


@pytest.fixture
def small() -> AudioWanTransformer3DModel:
    model = empty_transformer(SMALL)
    return build_transformer(SMALL, random_weights(model, published_names(2)))


def inputs(dtype: torch.dtype) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        "hidden_states": torch.randn(2, 36, 3, 4, 6, dtype=dtype),
        "timestep": torch.tensor([731.25, 12.5]),
        "encoder_hidden_states": torch.randn(2, 512, 8, dtype=dtype),
        "encoder_hidden_states_image": torch.randn(2, 257, 1280, dtype=dtype),
    }


def parent_of(model: AudioWanTransformer3DModel) -> WanTransformer3DModel:
    ours, own_settings = set(adapter_shapes(model)), ("audio_", "vae_scale", "_")
    config = {name: value for name, value in model.config.items() if not name.startswith(own_settings)}
    parent: WanTransformer3DModel = WanTransformer3DModel(**config).eval()
    parent.load_state_dict({name: value for name, value in model.state_dict().items() if name not in ours})
    return parent


def test_without_audio_it_equals_its_parent_bit_for_bit(small: AudioWanTransformer3DModel) -> None:
    given = inputs(torch.float32)
    assert torch.equal(small(**given).sample, parent_of(small)(**given).sample)


def in_bfloat16(model: AudioWanTransformer3DModel) -> tuple[AudioWanTransformer3DModel, AudioWanTransformer3DModel]:
    """A model in the formats in which it renders on GPUs, and the same rounded weights in float32."""
    rounded = copy.deepcopy(model)
    for name, weight in rounded.named_parameters():
        weight.data = weight.data.to(dtype_of(name, torch.bfloat16))
    return rounded, copy.deepcopy(rounded).float()


def test_in_bfloat16_time_is_calculated_in_float32(small: AudioWanTransformer3DModel) -> None:
    """As published. Rounded to bfloat16, shift, scale and gate of every block would be 0.4 % off."""
    rounded, exact = in_bfloat16(small)
    assert rounded.condition_embedder.time_proj.weight.dtype == torch.bfloat16
    given: dict[str, list[Tensor]] = {"rounded": [], "exact": []}
    for name, model in (("rounded", rounded), ("exact", exact)):
        for block in model.blocks:
            block.register_forward_hook(lambda _block, args, _out, name=name: given[name].append(args[2]))
    found, expected = rounded(**inputs(torch.bfloat16)).sample, exact(**inputs(torch.float32)).sample
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(given["rounded"], given["exact"], strict=True))
    assert (found - expected).norm() < 0.05 * expected.norm()


def test_in_bfloat16_the_last_layer_is_calculated_in_float32(small: AudioWanTransformer3DModel) -> None:
    rounded, exact = in_bfloat16(small)

    def same_tokens(tokens: Tensor, _blocks: Blocks) -> Tensor:
        return torch.linspace(-2, 2, tokens.numel()).reshape(tokens.shape).to(torch.bfloat16).to(tokens.dtype)

    found = rounded(**inputs(torch.bfloat16), around_blocks=same_tokens).sample
    assert torch.equal(found, exact(**inputs(torch.float32), around_blocks=same_tokens).sample)


def test_the_steps_are_planned_by_the_modulation_that_the_blocks_get(small: AudioWanTransformer3DModel) -> None:
    for model in in_bfloat16(small):
        seen: list[Tensor] = []
        model.blocks[0].register_forward_hook(lambda _block, args, _out, seen=seen: seen.append(args[2]))
        model(**inputs(model.patch_embedding.weight.dtype))
        _, modulation = model.time_modulation(inputs(torch.float32)["timestep"])
        assert torch.equal(seen[0].flatten(1), modulation)


def test_audio_changes_the_prediction(small: AudioWanTransformer3DModel) -> None:
    encoded_audio = small.encode_audio(torch.randn(1, 9, 5, 12, 768))
    one = {name: value[:1] for name, value in inputs(torch.float32).items()}
    assert not torch.allclose(small(**one, audio=encoded_audio).sample, small(**one).sample, atol=1e-3)


def test_a_latent_frame_depends_on_five_features_back_and_two_ahead(small: AudioWanTransformer3DModel) -> None:
    track = np.arange(20, dtype=np.float32)
    windows = torch.from_numpy(track[(np.arange(9)[:, None] + np.arange(-2, 3)).clip(0)])[None, :, :, None, None]
    spans = small.audio_proj.spans(windows[:, 1:])[0, :, :, 0, 0]
    for latent in (1, 2):
        expected = track[np.arange(4 * latent - 5, 4 * latent + 3).clip(0)]
        assert spans[latent - 1].tolist() == expected.tolist()


def test_two_speakers_need_their_regions(small: AudioWanTransformer3DModel) -> None:
    with pytest.raises(ValueError, match="2 speakers"):
        small.encode_audio(torch.randn(2, 9, 5, 12, 768))


@pytest.mark.parametrize("shape", [(2, 4, 6), (3, 32, 48), (3, 2, 3)], ids=["no background", "pixels", "tokens"])
def test_regions_of_another_size_are_refused(small: AudioWanTransformer3DModel, shape: tuple[int, ...]) -> None:
    one = {name: value[:1] for name, value in inputs(torch.float32).items()}
    with pytest.raises(ValueError, match="regions"):
        small(**one, audio=small.encode_audio(torch.randn(2, 9, 5, 12, 768), torch.ones(shape)))


def test_latents_of_an_odd_size_are_refused(small: AudioWanTransformer3DModel) -> None:
    given = inputs(torch.float32)
    with pytest.raises(ValueError, match="patches"):
        small(**given | {"hidden_states": given["hidden_states"][..., :5]})


def test_audio_may_be_a_view_with_negative_strides(small: AudioWanTransformer3DModel) -> None:
    windows = np.random.default_rng(1).standard_normal((1, 9, 5, 12, 768)).astype(np.float32)
    assert torch.equal(small.encode_audio(windows[:, ::-1]).tokens, small.encode_audio(windows[:, ::-1].copy()).tokens)


def test_a_region_without_tokens_gives_numbers(small: AudioWanTransformer3DModel) -> None:
    regions = torch.zeros(3, 4, 6)
    regions[0, :, :3] = 1
    encoded_audio = small.encode_audio(torch.randn(2, 9, 5, 12, 768), regions)
    one = {name: value[:1] for name, value in inputs(torch.float32).items()}
    assert small(**one, audio=encoded_audio).sample.isfinite().all()


def test_the_published_model_has_1303_weights_of_the_base_and_330_of_the_adapter() -> None:
    model = empty_transformer(PUBLISHED)
    adapter = adapter_shapes(model)
    assert len(adapter) == 330
    assert sum(int(np.prod(shape)) for shape in adapter.values()) == 2_487_168_000
    assert adapter["blocks.39.audio_attn.to_kv.weight"] == (10240, 768)
    assert adapter["audio_proj.proj1_vf.weight"] == (512, 73728)
    names = published_names(40)
    assert sorted(names.values()) == sorted(model.state_dict())
    assert len(names) - 330 == 1303


def test_names_are_matched_whole() -> None:
    strange = ["xblocks.0.modulation", "blocks.0.audio_cross_attn.q.weight", "head.modulation.weight", "norm_x.weight"]
    assert rename_keys(strange, (*BASE, *ADAPTER)) == {}


def adapter_file(model: AudioWanTransformer3DModel, folder: Path, **changes: Tensor | None) -> Path:
    names = {name: ours for name, ours in published_names(2).items() if ours in adapter_shapes(model)}
    weights = random_weights(model, names)
    for name, value in changes.items():
        if value is None:
            del weights[name]
        else:
            weights[name] = value
    save_file(weights, folder / "adapter.safetensors")
    return folder / "adapter.safetensors"


def test_an_adapter_replaces_exactly_its_own_weights(small: AudioWanTransformer3DModel, tmp_path: Path) -> None:
    path = adapter_file(small, tmp_path, **{"audio_proj.norm.bias": torch.full((8,), 7.0)})
    base = {name: value.clone() for name, value in small.state_dict().items() if name not in adapter_shapes(small)}
    load_adapter(small, path, torch.bfloat16)
    weights = small.state_dict()
    assert weights["audio_proj.norm.bias"].tolist() == [7.0] * 8
    dtypes = {name: torch.float32 if "norm_x" in name else torch.bfloat16 for name in adapter_shapes(small)}
    assert {name: weights[name].dtype for name in dtypes} == dtypes
    assert all(torch.equal(weights[name], value) for name, value in base.items())


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"blocks.1.norm_x.bias": None}, "1 missing (blocks.1.norm_x.bias)"),
        ({"blocks.0.norm_x.gain": torch.ones(2)}, "1 unknown (blocks.0.norm_x.gain)"),
        ({"blocks.7.norm_x.bias": torch.ones(24)}, "1 unknown (blocks.7.norm_x.bias)"),
        ({"audio_proj.norm.bias": torch.ones(9)}, "1 of the wrong shape (audio_proj.norm.bias)"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_before_anything_changes(
    small: AudioWanTransformer3DModel, tmp_path: Path, changes: dict[str, Tensor | None], problem: str
) -> None:
    before = {name: value.clone() for name, value in small.state_dict().items()}
    with pytest.raises(StageError) as refused:
        load_adapter(small, adapter_file(small, tmp_path, **changes), torch.float32)
    assert refused.value.code is ErrorCode.PIPELINE_LOAD
    assert problem in refused.value.message
    assert all(torch.equal(before[name], value) for name, value in small.state_dict().items())


def test_a_configuration_as_published_is_enough() -> None:
    published = {name: value for name, value in PUBLISHED.items() if name in WAN_CONFIG}
    made, expected = (
        {name: value.shape for name, value in empty_transformer(config | {"num_layers": 1}).state_dict().items()}
        for config in (published, PUBLISHED)
    )
    assert made == expected


def test_unknown_or_missing_weights_are_refused() -> None:
    weights = random_weights(empty_transformer(SMALL), published_names(2))
    with pytest.raises(KeyError, match="unknown"):
        build_transformer(SMALL, weights | {"blocks.0.attn.strange": torch.ones(1)})
    del weights["head.modulation"]
    with pytest.raises(RuntimeError, match="scale_shift_table"):
        build_transformer(SMALL, weights)


def test_a_base_in_the_format_of_diffusers_takes_an_adapter(small: AudioWanTransformer3DModel, tmp_path: Path) -> None:
    own_settings = ("audio_", "vae_scale", "_")
    config = {name: value for name, value in small.config.items() if not name.startswith(own_settings)}
    parent = WanTransformer3DModel(**config)
    parent.save_pretrained(tmp_path / "base")
    model = AudioWanTransformer3DModel.from_pretrained(
        tmp_path / "base", audio_hidden_dim=4, audio_tokens=2, audio_token_dim=8
    )
    load_adapter(model, adapter_file(small, tmp_path), torch.float32)
    weights = model.state_dict()
    assert not any(value.is_meta for value in weights.values())
    assert all(torch.equal(weights[name], value) for name, value in parent.state_dict().items())
