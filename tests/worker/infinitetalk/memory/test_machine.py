"""The devices that the engine renders on and refuses, and their free memory."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch
from tests.worker.render_values import render_values

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait, RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.engine import InfiniteTalkEngine
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder
from talkingvideo_worker.engines.infinitetalk.memory import machine
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_host_bytes, render_device

MEMINFO = "MemTotal: 100 kB\nMemAvailable: 80 kB\n"


@pytest.fixture
def meminfo(tmp_path: Path) -> Path:
    (tmp_path / "meminfo").write_text(MEMINFO)
    return tmp_path / "meminfo"


def see_a_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla T4")


@pytest.mark.parametrize("capability", [(8, 0), (8, 9), (9, 0), (12, 0)])
def test_gpus_that_calculate_in_bfloat16_render(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    see_a_gpu(monkeypatch, capability)
    assert render_device() == torch.device("cuda", 0)


@pytest.mark.parametrize("capability", [(7, 0), (7, 5)])
def test_older_gpus_are_refused_by_name(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    see_a_gpu(monkeypatch, capability)
    with pytest.raises(StageError, match=r"Tesla T4.*bfloat16.*Ampere") as refused:
        render_device()
    assert refused.value.code is ErrorCode.PIPELINE_LOAD
    assert not refused.value.retryable


def test_a_gpu_that_torch_cannot_use_is_no_reason_to_render_for_days_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    (tmp_path / "nvidiactl").touch()
    assert render_device() == torch.device("cpu")
    (tmp_path / "nvidia0").touch()
    with pytest.raises(StageError, match="driver") as refused:
        render_device()
    assert refused.value.code is ErrorCode.PIPELINE_LOAD


def test_with_hidden_gpus_the_cpu_renders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(machine, "DEVICES", tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "nvidia0").touch()
    assert render_device() == torch.device("cpu")


def test_unused_objects_are_collected_before_free_memory_is_measured() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.itself = self

    gc.disable()
    try:
        unused = weakref.ref(Cycle())
        assert unused() is not None
        machine.free_memory(torch.device("cpu"))
        assert unused() is None
    finally:
        gc.enable()


def test_torchs_caches_are_emptied_before_free_memory_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pinned memory of an earlier video's blocks too: the host's free memory decides how many may be offloaded."""
    emptied: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append("GPU"))
    monkeypatch.setattr(torch.accelerator, "empty_host_cache", lambda: emptied.append("host"))
    monkeypatch.setattr(machine, "free_host_bytes", lambda: len(emptied))
    assert machine.free_memory(torch.device("cpu")).host_bytes == 2
    assert emptied == ["GPU", "host"]


def test_the_limit_of_a_node_with_the_older_control_groups_counts(tmp_path: Path, meminfo: Path) -> None:
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("50000\n")
    (tmp_path / "memory" / "memory.usage_in_bytes").write_text("20000\n")
    (tmp_path / "memory" / "memory.stat").write_text("cache 4000\ntotal_cache 5000\n")
    assert free_host_bytes(tmp_path, meminfo) == 35000


def test_the_peak_is_each_loads_own(monkeypatch: pytest.MonkeyPatch, tiny_weights: Path, tmp_path: Path) -> None:
    """One process may render several chunks, of several videos."""
    restarted: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: restarted.append(True))
    engine = InfiniteTalkEngine(WeightsFolder(tiny_weights))
    portrait = Portrait(tmp_path / "none.png", False, 64, 64)
    for _ in range(2):
        with pytest.raises(StageError):
            engine.load(RenderInput(portrait, (Track(tmp_path / "none.wav"),), 9, render_values()), tmp_path, 9)
    assert restarted == [True, True]
