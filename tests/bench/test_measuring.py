"""Figures are medians after a warm-up, what fails does not stop the rest, and what was not measured says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from infinitetalk import running
from infinitetalk.figures import Figures
from infinitetalk.plan import Plan, full_plan, quick_plan
from infinitetalk.profiling import profiled_kernels
from infinitetalk.random_networks import TINY, random_transformer
from infinitetalk.session import TIME_WAS_UP, Limits, Session
from infinitetalk.timers import median_seconds
from infinitetalk.work import WindowSize

from talkingvideo_api.spec import Preset

WINDOW = WindowSize(32, 32, 9)
VARIANTS = [
    *full_plan("bf16, resident, eager").variants,
    *full_plan("Int8 storage, resident, eager").variants,
]


class SteppingTimer:
    """Every action takes the next one of some times."""

    def __init__(self, seconds: list[float], shortest: float = 0.0) -> None:
        self.left, self.shortest, self.times = seconds, shortest, list[int]()

    def seconds(self, action: Callable[[], object], times: int = 1) -> float:
        self.times.append(times)
        return self.left.pop(0)

    def now(self) -> float:
        return 0.0


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def session(**changes: Any) -> Session:
    return Session(torch.device("cpu"), TINY, Figures({}), motion=5, **changes)


def test_a_time_is_the_median_and_the_first_does_not_count() -> None:
    actions = list[int]()
    seconds = median_seconds(lambda: actions.append(1), SteppingTimer([9.0, 1.0, 5.0, 2.0]), samples=3)
    assert seconds == 2.0
    assert len(actions) == 1, "the warm-up is not timed"


def test_short_acts_are_repeated_within_a_sample() -> None:
    timer = SteppingTimer([0.01, 0.01, 0.01], shortest=0.03)
    median_seconds(lambda: None, timer, samples=2)
    assert timer.times == [1, 3, 3]


def test_spans_in_which_other_kernels_run_are_no_kernels() -> None:
    """Compiled code and NCCL put them into a profile; counted as well, they would take half of all time."""

    def action() -> None:
        with torch.profiler.record_function("a span of compiled code"):
            torch.ones(50, 50).mm(torch.ones(50, 50))

    found = [row.kernel for row in profiled_kernels(action, torch.device("cpu"), lambda _profile: None)]
    assert "aten::mm" in found
    assert "a span of compiled code" not in found


def test_planned_figures_are_not_measured() -> None:
    planned = session()
    planned.put_planned_rows(quick_plan())
    rows = planned.figures.to_markdown().splitlines()
    assert all("not measured" in row for row in rows if "640x640" in row)
    assert len(planned.figures.calls) == len(quick_plan().variants) * len(quick_plan().windows)


def test_a_configuration_that_runs_out_of_memory_is_listed_and_the_next_one_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(_sizes: Any, setup: Any, _device: Any) -> Any:
        if setup.arithmetic == "bf16":
            raise torch.OutOfMemoryError("CUDA out of memory\nand more")
        return random_transformer(_sizes, setup, _device)

    monkeypatch.setattr(running, "random_transformer", full)
    here = session()
    plan = Plan(VARIANTS, [WINDOW], [])
    here.put_planned_rows(plan)
    running.run_plan(here, plan, lambda _profile: None)
    seconds = {variant: row.seconds for (variant, _), row in here.figures.calls.items()}
    assert seconds["bf16, resident, eager"] is None
    assert seconds["Int8 storage, resident, eager"]
    assert here.figures.failures == ["bf16, resident: OutOfMemoryError: CUDA out of memory"]


def test_windows_are_rendered_up_to_a_length_and_added_up_beyond() -> None:
    plan = Plan(VARIANTS[:1], [WINDOW], [Preset.TURBO])
    for longest, how in ((float("inf"), "rendered"), (0.0, "added up")):
        here = session(limits=Limits(longest_window=longest))
        running.run_plan(here, plan, lambda _profile: None)
        (row,) = here.figures.windows.values()
        (call,) = here.figures.calls.values()
        assert not here.figures.failures
        assert row.how == how
        assert row.seconds and call.seconds and row.seconds > 2 * call.seconds
        assert row.per_video_second == pytest.approx(row.seconds * 25 / 4)


def test_nothing_begins_when_time_is_up() -> None:
    here = session(limits=Limits(until=time.monotonic() - 1))
    plan = Plan(VARIANTS, [WINDOW], [Preset.TURBO])
    here.put_planned_rows(plan)
    running.run_plan(here, plan, lambda _profile: None)
    assert here.figures.failures == [TIME_WAS_UP]
    assert all(row.seconds is None for row in here.figures.calls.values())
