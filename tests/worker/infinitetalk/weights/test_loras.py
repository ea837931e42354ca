"""LoRAs merged into a tiny transformer: every weight follows the formula, whatever a file's keys look like."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from tests.worker.infinitetalk.whole_model import apply_loras
from torch import Tensor

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import LoraFile
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.weights.headers import weight_names
from talkingvideo_worker.engines.infinitetalk.weights.keys import ADAPTER, BASE, rename_keys
from talkingvideo_worker.engines.infinitetalk.weights.loras import merge_loras, open_loras

DIM, RANK = 24, 3
LAYER = "blocks.0.self_attn.q"
OURS = "blocks.0.attn1.to_q"

Saved = Callable[..., LoraFile]


@pytest.fixture
def model(tiny_transformer: AudioWanTransformer3DModel) -> AudioWanTransformer3DModel:
    return copy.deepcopy(tiny_transformer)


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """Writes a fetched LoRA."""

    def save(tensors: dict[str, Tensor], scale: float = 1.0, name: str = "mine") -> LoraFile:
        path = tmp_path / f"{name}.safetensors"
        save_file({key: value.contiguous() for key, value in tensors.items()}, path)
        return LoraFile(name, scale, path, field="spec.render.loras[0].uri")

    return save


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


DOWN, UP = drawn(RANK, DIM), drawn(DIM, RANK, seed=1)
PAIR = {f"diffusion_model.{LAYER}.lora_down.weight": DOWN, f"diffusion_model.{LAYER}.lora_up.weight": UP}


def weights(model: AudioWanTransformer3DModel) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    "layer",
    [
        f"diffusion_model.{LAYER}",
        f"model.diffusion_model.{LAYER}",
        LAYER,
        "lora_unet__blocks_0_self_attn_q",
        "lora_unet_blocks_0_self_attn_q",
        "lora_unet_blocks_0.self_attn.q",
    ],
)
@pytest.mark.parametrize(("down", "up"), [("lora_down", "lora_up"), ("lora_A", "lora_B")])
def test_a_product_is_added_to_its_layer_alone(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path, layer: str, down: str, up: str
) -> None:
    before = weights(model)
    lora = saved({f"{layer}.{down}.weight": DOWN, f"{layer}.{up}.weight": UP}, scale=0.5)
    apply_loras(model, [lora], tmp_path)
    wanted = before | {f"{OURS}.weight": before[f"{OURS}.weight"] + 0.5 * UP @ DOWN}
    torch.testing.assert_close(weights(model), wanted)
    assert not torch.equal(model.state_dict()[f"{OURS}.weight"], before[f"{OURS}.weight"])


@pytest.mark.parametrize("alpha", [torch.tensor(1.5), torch.tensor([1.5])])
def test_alpha_is_a_multiple_of_the_rank(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path, alpha: Tensor
) -> None:
    before = weights(model)[f"{OURS}.weight"]
    apply_loras(model, [saved(PAIR | {f"diffusion_model.{LAYER}.alpha": alpha}, scale=-2.0)], tmp_path)
    torch.testing.assert_close(weights(model)[f"{OURS}.weight"], before - 2 * 1.5 / RANK * UP @ DOWN)


def _key(name: str, joined: Callable[[str], str]) -> str:
    """A published weight's key as a whole difference."""
    layer, _, kind = name.rpartition(".")
    return f"{joined(layer)}.{ {'weight': 'diff', 'bias': 'diff_b', 'modulation': 'diff_m'}[kind] }"


@pytest.mark.parametrize(
    "joined",
    [lambda layer: f"diffusion_model.{layer}", lambda layer: f"lora_unet__{layer.replace('.', '_')}"],
    ids=["dotted", "flat"],
)
def test_every_weight_can_be_changed_by_its_published_name(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path, joined: Callable[[str], str]
) -> None:
    before = weights(model)
    names = rename_keys(weight_names(1), (*BASE, *ADAPTER))
    assert set(names.values()) == set(before)
    diffs = {name: drawn(*before[ours].shape, seed=seed) for seed, (name, ours) in enumerate(names.items())}
    apply_loras(model, [saved({_key(name, joined): diff for name, diff in diffs.items()}, scale=0.25)], tmp_path)
    torch.testing.assert_close(
        weights(model), before | {ours: before[ours] + 0.25 * diffs[name] for name, ours in names.items()}
    )


def test_weights_may_be_named_in_full(model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path) -> None:
    before, modulation, bias = weights(model), drawn(1, 6, DIM), drawn(DIM, seed=1)
    tensors = {"blocks.0.modulation.diff": modulation, f"diffusion_model.{LAYER}.bias.diff": bias}
    apply_loras(model, [saved(tensors)], tmp_path)
    table = "blocks.0.scale_shift_table"
    changed = {table: before[table] + modulation, f"{OURS}.bias": before[f"{OURS}.bias"] + bias}
    torch.testing.assert_close(weights(model), before | changed)


def test_a_product_for_the_patch_embedding_is_one_of_matrices(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path
) -> None:
    before = weights(model)["patch_embedding.weight"]
    down, up = drawn(RANK, *before.shape[1:]), drawn(DIM, RANK, 1, 1, 1, seed=1)
    key = "diffusion_model.patch_embedding"
    apply_loras(model, [saved({f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up})], tmp_path)
    change = torch.einsum("orxyz,rcthw->octhw", up, down)
    torch.testing.assert_close(weights(model)["patch_embedding.weight"], before + change, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "narrow",
    [
        {"diff": drawn(DIM, 16, 1, 2, 2)},
        {"lora_down.weight": drawn(RANK, 16, 1, 2, 2), "lora_up.weight": drawn(DIM, RANK, 1, 1, 1)},
    ],
)
def test_a_text_to_video_loras_patch_embedding_is_left_out_and_the_rest_is_not(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path, narrow: dict[str, Tensor]
) -> None:
    before, bias = weights(model), drawn(DIM)
    tensors = {f"diffusion_model.patch_embedding.{part}": value for part, value in narrow.items()}
    apply_loras(model, [saved(tensors | PAIR | {"diffusion_model.patch_embedding.diff_b": bias})], tmp_path)
    after = weights(model)
    assert torch.equal(after["patch_embedding.weight"], before["patch_embedding.weight"])
    torch.testing.assert_close(after["patch_embedding.bias"], before["patch_embedding.bias"] + bias)
    torch.testing.assert_close(after[f"{OURS}.weight"], before[f"{OURS}.weight"] + UP @ DOWN)


def test_several_are_added_in_order(model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path) -> None:
    before = weights(model)[f"{OURS}.bias"]
    key = f"diffusion_model.{LAYER}.diff_b"
    steps = [saved({key: torch.full((DIM,), value)}, name=str(n)) for n, value in enumerate((3e8, 1.0, -3e8))]
    apply_loras(model, steps, tmp_path)
    assert torch.equal(weights(model)[f"{OURS}.bias"], before + 3e8 + 1.0 - 3e8)
    assert not torch.equal(before + 3e8 + 1.0 - 3e8, before + 3e8 - 3e8 + 1.0)


def test_bfloat16_is_rounded_once(model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path) -> None:
    model.to(torch.bfloat16)
    before = weights(model)[f"{OURS}.weight"].float()
    loras = [saved({f"{LAYER}.diff": 0.001 * drawn(DIM, DIM, seed=n)}, scale=0.7, name=str(n)) for n in range(4)]
    apply_loras(model, [*loras, saved(PAIR, scale=0.003, name="pair")], tmp_path)
    exact = before + 0.7 * sum(0.001 * drawn(DIM, DIM, seed=n) for n in range(4)) + 0.003 * UP @ DOWN
    after = weights(model)[f"{OURS}.weight"]
    assert after.dtype == torch.bfloat16
    assert (after == exact.to(torch.bfloat16)).float().mean() > 0.99  # float32 sums may differ in their last bit
    twice = before.to(torch.bfloat16)
    for n in range(4):
        twice = (twice.float() + 0.7 * 0.001 * drawn(DIM, DIM, seed=n)).to(torch.bfloat16)
    assert (twice == exact.to(torch.bfloat16)).float().mean() < 0.99


def test_half_precision_files_are_read_and_calculated_with_in_float32(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path
) -> None:
    before = weights(model)[f"{OURS}.weight"]
    apply_loras(model, [saved({key: value.half() for key, value in PAIR.items()})], tmp_path)
    wanted = before + UP.half().float() @ DOWN.half().float()
    torch.testing.assert_close(weights(model)[f"{OURS}.weight"], wanted)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"diffusion_model.blocks.0.self_attn.q.dora_scale": drawn(DIM)}, r"1 unknown \(.*dora_scale\)"),
    ({"diffusion_model.blocks.7.self_attn.q.diff": drawn(DIM, DIM)}, r"1 unknown \(diffusion_model\.blocks\.7"),
    ({"lora_te_text_model.diff": drawn(4)}, r"1 unknown \(lora_te"),
    ({"lora_unet_blocks_0_self_attn_z.diff": drawn(4)}, "1 unknown"),
    ({f"k{n}": drawn(1) for n in range(9)}, "9 unknown .*, …"),
    ({f"{LAYER}.lora_down.weight": DOWN}, "1 without their other half"),
    ({f"{LAYER}.alpha": torch.tensor(1.0)}, "1 without their other half"),
    ({f"{LAYER}.diff": drawn(DIM, 32)}, f"1 of the wrong shape .*24x32 instead of {DIM}x{DIM}"),
    ({f"{LAYER}.lora_A.weight": drawn(RANK, 32), f"{LAYER}.lora_B.weight": UP}, "1 of the wrong shape .*lora_A"),
    ({f"{LAYER}.lora_A.weight": DOWN, f"{LAYER}.lora_B.weight": drawn(DIM, 5)}, "1 of the wrong shape .*lora_B"),
    (PAIR | {f"{LAYER}.alpha": drawn(2)}, "1 of the wrong shape .*one number"),
    (PAIR | {f"{LAYER}.lora_A.weight": DOWN.clone()}, "1 given twice"),
    ({"diffusion_model.patch_embedding.diff": drawn(DIM, 40, 1, 2, 2)}, "1 of the wrong shape"),
    ({"diffusion_model.patch_embedding.diff": drawn(DIM, 16, 1, 2, 2)}, "none that changes a weight"),
]


@pytest.mark.parametrize(("tensors", "message"), REFUSED)
def test_what_does_not_fit_is_refused_with_its_keys_and_changes_nothing(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path, tensors: dict[str, Tensor], message: str
) -> None:
    before = weights(model)
    with pytest.raises(StageError, match=message) as refusal:
        apply_loras(model, [saved(PAIR, name="good"), saved(tensors, name="bad")], tmp_path)
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert "LoRA bad " in refusal.value.message
    assert refusal.value.field == "spec.render.loras[0].uri"
    assert not refusal.value.retryable
    assert all(torch.equal(value, before[name]) for name, value in weights(model).items())


def test_quantised_weights_are_not_changed(model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path) -> None:
    lora = saved(PAIR)
    with open_loras(model, [lora], tmp_path) as opened:
        with pytest.raises(ValueError, match="before weights are quantised"):
            merge_loras(f"{OURS}.weight", torch.zeros(DIM, DIM, dtype=torch.float8_e4m3fn), opened)
        untouched = torch.zeros(DIM, dtype=torch.float8_e4m3fn)
        assert merge_loras(f"{OURS}.bias", untouched, opened) is untouched


def test_the_model_may_be_empty_when_weights_are_made_ready_one_by_one(
    model: AudioWanTransformer3DModel, saved: Saved, tmp_path: Path
) -> None:
    weight = weights(model)[f"{OURS}.weight"]
    with open_loras(model.to("meta"), [saved(PAIR)], tmp_path) as opened:
        torch.testing.assert_close(merge_loras(f"{OURS}.weight", weight, opened), weight + UP @ DOWN)
