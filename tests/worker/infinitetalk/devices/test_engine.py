"""The whole engine on a GPU: every path of ``load`` and ``render``, from the folder of weights to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.worker.infinitetalk.devices.conftest import (
    FRAMES,
    WHOLE,
    Stage,
    drawn,
    one_thread_only,
    pictures,
    simulated_gpu,
)
from tests.worker.infinitetalk.devices.simulated import UNPINNED, SimulatedGpu

from talkingvideo_api.effective import PRESET_LORAS
from talkingvideo_api.spec import Preset, Quantization
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import LoraFile, RenderInput
from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder

PRODUCTS = torch.ops.aten._scaled_mm_v2.default
SMALL_GPU = 1000
"""Bytes, for which the leanest mode is chosen."""

LORA = LoraFile(str(PRESET_LORAS[Preset.TURBO][0].name), 1.0)
FIRST_WINDOW = ChunkFrames(0, WHOLE.windows[:1])


def one_with_a_mask_and_one_with_a_region(stage: Stage) -> RenderInput:
    mask = stage.folder / "mask.png"
    Image.fromarray(np.pad(np.full((32, 16), 255, np.uint8), ((0, 0), (0, 16)))).save(mask)
    return stage.render_input(stage.track(0, mask=mask), stage.track(1, region=(0.5, 0, 0.5, 1)))


CASES = {
    "one speaker, all guidance": lambda stage: stage.render_input(text_guidance=2.0),
    "projected guidance": lambda stage: stage.render_input(
        steps=2, text_guidance=2.0, apg_momentum=-0.75, apg_norm_threshold=55.0
    ),
    "skipped steps": lambda stage: stage.render_input(steps=7, audio_guidance=1.0, tea_cache_threshold=1e9),
    "as distilled, with a LoRA": lambda stage: stage.render_input(
        preset=Preset.TURBO, audio_guidance=1.0, loras=(LORA,)
    ),
    "two speakers": one_with_a_mask_and_one_with_a_region,
    "dubbing": lambda stage: stage.render_input(portrait=stage.film(32, 32), audio_guidance=1.0),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_every_kind_of_video_is_rendered(gpu: SimulatedGpu, stage: Stage, make: Any) -> None:
    windows = drawn(stage.loaded(make(stage)))
    assert [len(frames) for frames, _ in windows] == list(WHOLE.windows)
    assert all(np.isfinite(state["motion"]).all() for _, state in windows if state)
    assert pictures(windows).std() > 5
    assert "synchronize" in gpu.waits


def test_prepare_does_not_use_the_gpu(gpu: SimulatedGpu, stage: Stage) -> None:
    render_input, engine = stage.render_input(audio_guidance=1.0), InfiniteTalkEngine(WeightsFolder(stage.weights))
    engine.prepare(render_input, stage.folder / "prepared")
    assert not gpu.waits
    engine.load(render_input, stage.folder / "prepared", FRAMES)
    assert len(pictures(drawn(engine))) == FRAMES
    stats = engine.stats()
    assert (stats.gpus, stats.memory_mode, stats.peak_gpu_bytes) == (1, "BF16, resident", 1)


def test_a_chunk_continues_from_a_state_on_disk(gpu: SimulatedGpu, stage: Stage) -> None:
    engine = stage.loaded(stage.render_input())
    whole = drawn(engine)
    path = stage.folder / "state.npz"
    np.savez(path, allow_pickle=False, **(whole[0][1] or {}))
    with np.load(path) as arrays:
        state = dict(arrays)
    assert np.array_equal(pictures(drawn(engine, first=1, state=state)), pictures(whole[1:]))
    chained = ChunkFrames(5, (4,), first_window=1, overlap=1)
    assert np.array_equal(pictures(drawn(engine, chained, state=state)), pictures(whole[1:]))


@pytest.fixture(scope="module")
def resident(tiny_weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Pictures by a transformer that lies on the GPU as it is."""
    stage = Stage(tiny_weights, tmp_path_factory.mktemp("resident"))
    with one_thread_only(), simulated_gpu():
        return pictures(drawn(stage.loaded(stage.render_input(loras=(LORA,))), FIRST_WINDOW))


@pytest.mark.parametrize(
    ("asked", "capability", "mode", "levels"),
    [
        ({"resident_parameters": 0}, (9, 0), "BF16, 0 of 2 blocks resident", 0),
        ({"quantization": Quantization.FP8}, (9, 0), "FP8, resident", 8),
        ({"quantization": Quantization.FP8, "resident_parameters": 0}, (8, 0), "FP8, 0 of 2 blocks resident", 8),
        ({"quantization": Quantization.INT8, "resident_parameters": 0}, (9, 0), "INT8, 0 of 2 blocks resident", 8),
    ],
)
def test_every_memory_mode_renders_the_same(
    gpu: SimulatedGpu, stage: Stage, resident: Any, asked: Any, capability: tuple[int, int], mode: str, levels: int
) -> None:
    """Blocks that come from host memory come in time, and change nothing."""
    gpu.capability = capability
    engine = stage.loaded(stage.render_input(loras=(LORA,), **asked))
    found = pictures(drawn(engine, FIRST_WINDOW))
    assert engine.stats().memory_mode == mode
    assert np.abs(found.astype(float) - resident).mean() <= levels
    multiplied = gpu.operations[PRODUCTS] > 1  # one only tells whether the GPU can
    assert multiplied == (mode == "FP8, resident")
    assert UNPINNED not in gpu.waits


def test_a_small_gpu_decodes_in_tiles_and_encodes_prompts_on_the_cpu(gpu: SimulatedGpu, stage: Stage) -> None:
    gpu.free = SMALL_GPU
    engine = stage.loaded(stage.render_input(portrait=stage.picture(32, 272), audio_guidance=1.0, steps=1))
    assert pictures(drawn(engine)).shape == (FRAMES, 32, 272, 3)
    assert engine.stats().memory_mode == "FP8, 0 of 2 blocks resident, tiled"
