"""From a number of GPUs to a render with them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.worker.render_values import render_values, sampling_values

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import Portrait, RenderInput, Track, Window
from talkingvideo_worker.engines.infinitetalk import loader
from talkingvideo_worker.engines.infinitetalk.compiling import leave_uncompiled
from talkingvideo_worker.engines.infinitetalk.engine import MOTION, InfiniteTalkEngine
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder
from talkingvideo_worker.engines.infinitetalk.memory.loading import LoraSet
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, FreeMemory, MemoryMode
from talkingvideo_worker.engines.infinitetalk.parallel import group
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig, idle_gpu_warnings
from talkingvideo_worker.engines.infinitetalk.parallel.launch import (
    NCCL_BYTES,
    free_memory_per_rank,
    launch_workers,
    render_devices,
)
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.weights.converted import network_files
from talkingvideo_worker.media.wav import WavWriter
from talkingvideo_worker.units import SAMPLES_PER_FRAME

CHUNK = ChunkFrames(0, (5, 4))


@pytest.fixture
def render_input(tmp_path: Path) -> RenderInput:
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / "picture.png")
    with WavWriter(tmp_path / "sound.wav", 16_000) as wav:
        wav.write(rng.integers(-9000, 9000, 9 * SAMPLES_PER_FRAME).astype(np.int16))
    values = render_values(window_frames=5, motion_frames=1, sampling=sampling_values())
    portrait = Portrait(tmp_path / "picture.png", False, 64, 64)
    return RenderInput(portrait, (Track(tmp_path / "sound.wav"),), 9, values)


def rendered(weights: Path, render_input: RenderInput, folder: Path) -> list[tuple[Window, list[np.ndarray]]]:
    engine = InfiniteTalkEngine(WeightsFolder(weights))
    engine.prepare(render_input, folder)
    engine.load(render_input, folder, render_input.frames)
    return [(window, list(window.frames)) for window in engine.render(CHUNK)]


@pytest.mark.media
def test_two_new_processes_render_the_chunk_of_one(
    render_input: RenderInput, tiny_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on GPUs: the worker imports and loads everything itself."""
    alone = rendered(tiny_weights, render_input, tmp_path / "engine")
    monkeypatch.setattr(loader, "render_devices", lambda gpus: ("cpu",) * gpus)
    together = rendered(tiny_weights, replace(render_input, gpus=2), tmp_path / "engine")
    for (window, frames), (expected, expected_frames) in zip(together, alone, strict=True):
        assert window.state is not None
        assert expected.state is not None
        assert np.allclose(window.state[MOTION], expected.state[MOTION], atol=1e-3)
        assert max(np.abs(a.astype(int) - b).max() for a, b in zip(frames, expected_frames, strict=True)) <= 1


def test_more_gpus_than_available_are_refused_by_their_field(
    render_input: RenderInput, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(StageError, match="2 GPUs are requested, but 1 are visible here") as refused:
        WeightsFolder(tiny_weights).networks(replace(render_input, gpus=2), 9, lambda _fraction, _message: None)
    assert (refused.value.code, refused.value.field) == (ErrorCode.PIPELINE_LOAD, "spec.render.gpusPerChunk")
    assert not refused.value.retryable


def test_the_first_gpus_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert render_devices(3) == ("cuda:0", "cuda:1", "cuda:2")


def test_idle_gpus_are_reported() -> None:
    assert idle_gpu_warnings(4, ParallelConfig(2, 2)) == ()
    (warning,) = idle_gpu_warnings(3, ParallelConfig(1, 2))
    assert warning.startswith("spec.render.gpusPerChunk: 1 of 3 GPUs had nothing to do")


def test_ranks_share_the_host_but_no_gpu() -> None:
    """NCCL's buffers are on each GPU, outside of every allocator's statistics."""
    assert free_memory_per_rank(FreeMemory(80 * GB, 100), ParallelConfig(2, 2)) == FreeMemory(80 * GB - NCCL_BYTES, 25)
    assert free_memory_per_rank(FreeMemory(80 * GB, 100), ParallelConfig(1, 1)) == FreeMemory(80 * GB, 100)
    assert free_memory_per_rank(FreeMemory(None, 100), ParallelConfig(2, 1)) == FreeMemory(None, 50)


def test_every_rank_prepares_the_blocks_as_rank_0_does(
    render_input: RenderInput, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever each would decide on its own: another pod may fill the cache of compiled code while they load."""
    leader: list[Any] = []
    loads: list[Callable[[], Any]] = []

    class Alone:
        def __init__(self, load: Callable[[], Any], *_where: object) -> None:
            loads.append(load)

        def join(self, _transformer: Any) -> Any:
            return denoise

    monkeypatch.setattr(group, "WorkerGroup", Alone)
    monkeypatch.setattr(loader, "render_devices", lambda gpus: ("cpu",) * gpus)
    monkeypatch.setattr(loader, "choose_preparation", lambda _device, _work: (leader.append, None))
    WeightsFolder(tiny_weights).networks(replace(render_input, gpus=2), 9, lambda _fraction, _message: None).load()
    other = loads[0]()
    assert len(leader) == 2
    assert leader[1] is other


def test_one_gpu_imports_nothing_for_several_processes(tiny_weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(
        sys.modules, "talkingvideo_worker.engines.infinitetalk.parallel.group", None
    )  # an import of it would fail
    transformer = network_files(tiny_weights, 1, torch.float32).transformer
    alone = launch_workers(transformer, MemoryMode(), LoraSet(), ParallelConfig(1, 1), ("cpu",), leave_uncompiled)
    assert alone.join(transformer.empty(torch.float32)) is denoise
