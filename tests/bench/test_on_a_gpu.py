"""The GPU's benchmark on a simulated GPU, which refuses what CUDA refuses: what is measured runs at its first try."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from infinitetalk import measuring, running
from infinitetalk.devices import Peak
from infinitetalk.figures import Figures, KernelRow
from infinitetalk.plan import LEANEST, Plan, Variant
from infinitetalk.random_networks import TINY
from infinitetalk.session import Session
from infinitetalk.work import WindowSize
from tests.worker.infinitetalk.devices.conftest import gpu  # noqa: F401 - a fixture
from tests.worker.infinitetalk.devices.simulated import SimulatedGpu

WINDOW = WindowSize(32, 32, 9)


class OnceTimer:
    """Runs every action once, and reports one second for it."""

    shortest = 0.0

    def seconds(self, action: Callable[[], object], times: int = 1) -> float:
        assert times == 1
        action()
        return 1.0

    def now(self) -> float:
        return 0.0


@pytest.fixture
def session(gpu: SimulatedGpu, monkeypatch: pytest.MonkeyPatch) -> Session:  # noqa: F811
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device=None: 2)
    monkeypatch.setattr(measuring, "SAMPLES", 1)
    monkeypatch.setattr(running, "host_bytes", lambda _mode: 0)
    made = Session(torch.device("cuda"), TINY, Figures({}), Peak(1e12, 2e12), motion=5)
    made.timer = OnceTimer()
    made.figures.kernels = [KernelRow("profiled elsewhere", 1)]  # without a driver the profiler takes minutes
    return made


@pytest.mark.media
def test_the_leanest_setup_is_measured_without_an_error(session: Session) -> None:
    """It has 8-bit weights, offloaded blocks, an offloaded image encoder and tiles."""
    plan = Plan([Variant(LEANEST)], [WINDOW], [])
    session.put_planned_rows(plan)
    running.run_plan(session, plan, lambda _profile: None)
    assert session.figures.failures == []
    (call,) = session.figures.calls.values()
    assert call.seconds and call.of_peak and call.of_prediction and call.reserved_gb and call.estimated_gb
    assert {figure.by for figure in session.figures.products} >= {"bf16", "FP8 matmuls", "native"}
