"""LoRAs from their address to the engine, through the real prepare stage with tiny weights."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.worker.infinitetalk.tiny_weights import tiny_lora, write_tiny_weights
from tests.worker.stages.conftest import write_voice

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan
from talkingvideo_api.profile import InputLimits
from talkingvideo_api.resource import parse
from talkingvideo_api.spec import Preset, Quantization
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.stage_inputs import make_stage_input
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import inputs_folder, prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.render_input import make_render_input
from talkingvideo_worker.stages.workspace import get_prepared, require_plan

pytestmark = pytest.mark.media

QUERY = "blocks.0.attn1.to_q.weight"


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_tiny_weights(folder)
    return folder


@pytest.fixture
def weights(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of tiny weights whose LoRAs are the test's own."""
    folder = tmp_path / "weights"
    folder.mkdir()
    for part in published.iterdir():
        (folder / part.name).symlink_to(part)
    (folder / "loras").unlink()
    shutil.copytree(published / "loras", folder / "loras")
    monkeypatch.setenv("TALKINGVIDEO_WEIGHTS", str(folder))
    return folder


@pytest.fixture
def new_context(tmp_path: Path, portrait: Path) -> Callable[..., StageContext]:
    """Makes the context of a video of ten frames with some LoRAs."""
    voice = write_voice(tmp_path / "voice.wav", seconds=0.4)

    def context(
        *loras: dict[str, Any],
        name: str = "hello",
        engine: str = "infinitetalk",
        preset: str = "quality",
        **stage_input: Any,
    ) -> StageContext:
        spec = {
            "source": {"image": {"uri": portrait.as_uri()}},
            "speech": {"speakers": [{"audio": {"uri": voice.as_uri()}}]},
            "render": {"preset": preset, "windowFrames": 5, "motionFrames": 1, "loras": list(loras)},
        }
        locations = LocalLocations(tmp_path / name / "out", tmp_path / name / "work")
        local = make_stage_input(parse({"metadata": {"name": name}, "spec": spec}), engine, locations)
        return StageContext(
            local.model_copy(update=stage_input),
            Mounts(tmp_path / "claims", tmp_path / "configmaps", tmp_path / "headers"),
            tmp_path / name / "scratch",
            LogReporter(),
        )

    return context


def lora(path: Path, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tiny_lora(torch.Generator().manual_seed(seed)), path)
    return path


def prepared(context: StageContext) -> Plan:
    fetch(context)
    process(context)
    return Plan.model_validate_json((prepared_folder(context.scratch) / "plan.json").read_text())


def keys(context: StageContext) -> list[str]:
    return [chunk.key for chunk in prepared(context).chunks]


@pytest.mark.usefixtures("weights")
def test_a_chunk_is_known_by_a_loras_content_and_scale_and_not_by_its_address(new_context: Any, tmp_path: Path) -> None:
    here = lora(tmp_path / "a.safetensors")
    lora(tmp_path / "configmaps" / "mine" / "b.safetensors")
    known = keys(new_context({"uri": here.as_uri()}, name="here"))
    assert keys(new_context({"uri": "configmap://mine/b.safetensors"}, name="there")) == known
    others = [
        keys(new_context({"uri": lora(tmp_path / "c.safetensors", seed=2).as_uri()}, name="content")),
        keys(new_context({"uri": here.as_uri(), "scale": 0.5}, name="scale")),
    ]
    assert len({key for found in (known, *others) for key in found}) == 3 * len(known)


def test_a_chunk_is_known_by_the_content_of_the_presets_lora(new_context: Any, weights: Path) -> None:
    (fusion,) = PRESET_LORAS[Preset.FAST]
    before = keys(new_context(preset="fast", name="before"))
    lora(weights / "loras" / f"{fusion.name}.safetensors", seed=3)
    assert keys(new_context(preset="fast", name="after")) != before


def test_render_pods_get_fetched_loras_and_merge_them_after_the_presets(
    new_context: Any, weights: Path, tmp_path: Path
) -> None:
    lora(weights / "loras" / "named.safetensors", seed=5)
    mine = lora(tmp_path / "mine.safetensors", seed=4)
    context = new_context({"name": "named", "scale": -1}, {"uri": mine.as_uri(), "scale": 0.5}, preset="turbo")
    plan = prepared(context)
    publish(context)
    elsewhere = tmp_path / "elsewhere"
    for name in plan.files_of(Stage.RENDER):
        get_prepared(context, plan, name, elsewhere / name)
    render_input = make_render_input(plan, context.stage_input, elsewhere)
    (turbo,) = PRESET_LORAS[Preset.TURBO]
    assert [(file.label, file.scale) for file in render_input.loras] == [
        (turbo.name, 1.0),
        ("named", -1.0),
        (mine.as_uri(), 0.5),
    ]
    fetched = render_input.loras[2].fetched
    assert fetched is not None
    assert fetched.is_relative_to(elsewhere)
    assert fetched.read_bytes() == mine.read_bytes()
    folder = WeightsFolder(weights)
    plain = folder.networks(
        make_render_input(plan, without_loras(context.stage_input), elsewhere), 9, lambda _f, _m: None
    ).load()
    merged = folder.networks(render_input, 9, lambda _f, _m: None).load()
    change = torch.zeros(48, 48)
    for path, scale in zip(
        (weights / f"loras/{turbo.name}.safetensors", weights / "loras/named.safetensors", mine),
        (1.0, -1.0, 0.5),
        strict=True,
    ):
        change += scale * product(path)
    difference = merged.transformer.state_dict()[QUERY] - plain.transformer.state_dict()[QUERY]
    torch.testing.assert_close(difference.float().cpu(), change, atol=1e-5, rtol=1e-4)


def without_loras(stage_input: StageInput) -> StageInput:
    assert stage_input.effective.sampling is not None
    sampling = stage_input.effective.sampling.model_copy(update={"loras": ()})
    spec = stage_input.spec.model_copy(update={"render": None})
    return stage_input.model_copy(
        update={"effective": stage_input.effective.model_copy(update={"sampling": sampling}), "spec": spec}
    )


def product(path: Path) -> torch.Tensor:
    tensors, layer = load_file(path), "diffusion_model.blocks.0.self_attn.q"
    return tensors[f"{layer}.lora_up.weight"] @ tensors[f"{layer}.lora_down.weight"]


@pytest.mark.usefixtures("weights")
def test_a_lora_that_does_not_fit_is_refused_before_anything_is_rendered(new_context: Any, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.safetensors"
    save_file({"diffusion_model.blocks.0.self_attn.q.diff": torch.zeros(5, 5)}, wrong)
    with pytest.raises(StageError, match="does not fit this model") as refusal:
        prepared(new_context({"name": next(iter(PRESET_LORAS[Preset.FAST])).name}, {"uri": wrong.as_uri()}))
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert refusal.value.field == "spec.render.loras[1].uri"


@pytest.mark.usefixtures("weights")
def test_render_pods_get_the_planned_lora_though_another_prepare_found_a_different_one(
    new_context: Any, tmp_path: Path
) -> None:
    mine = lora(tmp_path / "a.safetensors")
    content = mine.read_bytes()
    context = new_context({"uri": mine.as_uri()})
    late = replace(context, scratch=tmp_path / "late")
    plan = prepared(context)
    lora(mine, seed=2)
    prepared(late)
    for each in (context, late):
        publish(each)
    (name,) = (file for file in plan.files_of(Stage.RENDER) if file.startswith("loras/"))
    get_prepared(late, require_plan(late), name, tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content


@pytest.mark.parametrize("change", [lambda path: lora(path, seed=9), Path.unlink], ids=["another", "gone"])
def test_render_refuses_weights_that_are_not_those_of_the_plan(
    new_context: Any, weights: Path, tmp_path: Path, change: Callable[[Path], Any]
) -> None:
    """Otherwise chunks would be stored under the keys of the planned weights, and reused by other videos."""
    named = lora(weights / "loras" / "named.safetensors")
    context = new_context({"name": "named"})
    prepared(context)
    publish(context)
    change(named)
    with pytest.raises(StageError, match="weights have been replaced since the video was planned") as refusal:
        render(context, 0)
    assert refusal.value.code is ErrorCode.PIPELINE_LOAD
    assert not refusal.value.retryable
    assert not list((tmp_path / "hello").rglob("segment-*"))


def test_loras_keep_to_the_rules_of_inputs(new_context: Any, tmp_path: Path) -> None:
    large = lora(tmp_path / "large.safetensors")
    with pytest.raises(StageError, match="larger than the limit of 100 bytes") as refusal:
        fetch(new_context({"uri": large.as_uri()}, preset="turbo", name="large", limits=InputLimits(lora_bytes=100)))
    assert refusal.value.field == "spec.render.loras[0].uri"
    with pytest.raises(StageError, match="a place of bucket 'other'") as refusal:
        fetch(new_context({"uri": "s3://other/a.safetensors"}, name="bucket", input_buckets=("media",)))
    assert refusal.value.field == "spec.render.loras[0].uri"


def test_loras_together_keep_to_the_limit_that_the_scratch_folder_has_room_for(
    new_context: Any, tmp_path: Path
) -> None:
    loras = [lora(tmp_path / f"{name}.safetensors") for name in "abc"]
    size = loras[0].stat().st_size
    given = [{"uri": path.as_uri()} for path in loras]
    with pytest.raises(StageError, match=f"LoRAs are {3 * size:,} bytes in total.* allows {2 * size + 1:,}") as refusal:
        fetch(new_context(*given, name="three", limits=InputLimits(lora_bytes=2 * size + 1)))
    assert refusal.value.field == "spec.render.loras[2].uri"
    assert refusal.value.code is ErrorCode.INPUT_VALIDATION
    fetch(new_context(*given[:2], name="two", limits=InputLimits(lora_bytes=2 * size + 1)))


@pytest.mark.usefixtures("weights")
def test_a_chunk_is_known_by_its_numbers_format_and_not_by_where_they_wait(new_context: Any) -> None:
    def known(name: str, **memory: Any) -> list[str]:
        context = new_context(name=name)
        sampling = context.stage_input.effective.sampling.model_copy(update=memory)
        effective = context.stage_input.effective.model_copy(update={"sampling": sampling})
        return keys(replace(context, stage_input=context.stage_input.model_copy(update={"effective": effective})))

    assert known("usual") == known("waiting", resident_parameters=7)
    assert known("usual") != known("small", quantization=Quantization.FP8)


def test_the_preview_engine_fetches_none(new_context: Any, tmp_path: Path) -> None:
    context = new_context({"uri": (tmp_path / "nothing.safetensors").as_uri()}, engine="preview")
    plan = prepared(context)
    assert not [name for name in plan.files if name.startswith("loras/")]
    assert not list(inputs_folder(context.scratch).glob("lora-*"))
