"""What all measurements of a run share, and how one that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import torch
from infinitetalk.devices import Peak, floor_seconds
from infinitetalk.figures import CallRow, Figures, PartRow, WindowRow
from infinitetalk.material import BenchInput, preset_values
from infinitetalk.plan import Arithmetic, Plan, Variant
from infinitetalk.random_networks import NetworkSizes
from infinitetalk.timers import Timer, make_timer
from infinitetalk.work import CallWork, Flops, WindowSize, call_work, codec_flops

from talkingvideo_api.spec import Preset
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_unused_memory
from talkingvideo_worker.engines.infinitetalk.memory.quantization import supports_fp8_matmul

Result = TypeVar("Result")

MOTION = 9
MESSAGE_LENGTH = 300
TIME_WAS_UP = "time was up before the rest"

DECODE, ENCODE_LAST = "decode", "encode the last frames"
COLOURS, TO_HOST = "colours", "pictures to the host"
REPEATED_PARTS = (DECODE, ENCODE_LAST, COLOURS, TO_HOST)
"""What every window adds to its calls."""


@dataclass(frozen=True)
class Limits:
    """How long it may take.

    Attributes:
        until: Of ``time.monotonic``; what has not begun by then is not measured.
        longest_window: Seconds; windows that take longer by calculation are not rendered.
    """

    until: float = float("inf")
    longest_window: float = 30.0


@dataclass
class Session:
    """A run on a device.

    Attributes:
        device: Where.
        sizes: Of the networks.
        figures: Where rows go.
        peak: Of the device, if it is known.
        limits: How long it may take.
        save: Called when there is something new.
        motion: Frames that windows share.
        timer: The device's.
    """

    device: torch.device
    sizes: NetworkSizes
    figures: Figures
    peak: Peak | None = None
    limits: Limits = Limits()
    save: Callable[[], None] = lambda: None
    motion: int = MOTION
    timer: Timer = field(init=False)

    def __post_init__(self) -> None:
        self.timer = make_timer(self.device)

    def attempt(self, what: str, action: Callable[[], Result]) -> Result | None:
        """Do it; what goes wrong is noted, and memory given back."""
        if time.monotonic() > self.limits.until:
            if TIME_WAS_UP not in self.figures.failures:
                self.figures.failures.append(TIME_WAS_UP)
            return None
        problem = ""
        try:
            return action()
        except Exception as error:
            problem = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
        # Outside of the except clause: an error that is being handled keeps alive what its frames hold.
        self.figures.failures.append(f"{what}: {problem[:MESSAGE_LENGTH]}")
        self.attempt_release()
        self.save()
        return None

    def attempt_release(self) -> None:
        """Give memory back; a GPU in an error state refuses even that, and all that follows fails one by one."""
        try:
            free_unused_memory()
        except RuntimeError as error:
            self.figures.failures.append(f"giving memory back: {str(error)[:MESSAGE_LENGTH]}")

    def put_planned_rows(self, plan: Plan) -> None:
        """Put a row for every figure that the plan asks for, without the figure."""
        for window in plan.windows:
            self.figures.add(*(PartRow(str(window), part) for part in REPEATED_PARTS))
            for variant in plan.variants:
                self.figures.add(CallRow(str(variant), str(window), self.work(window).flops.total / 1e15))
                self.figures.add(*(self.window_row(variant, window, preset) for preset in plan.presets))

    def window_row(self, variant: Variant, window: WindowSize, preset: Preset) -> WindowRow:
        """What a window of a preset takes at least."""
        settings = self.render_input(window, preset).settings(preset)
        calls = (len(settings.timesteps) - 1) * len(settings.guidance.branches)
        call = self.floor(self.work(window).flops, variant.setup.arithmetic)
        floor = None
        if call is not None and self.peak is not None:
            floor = calls * call + codec_flops(window) / self.peak.bf16
        return WindowRow(str(variant), str(window), str(preset), calls, floor)

    def floor(self, flops: Flops, arithmetic: Arithmetic) -> float | None:
        """Time of a call at the dense peak."""
        in_fp8 = arithmetic is Arithmetic.FP8_MATMULS and supports_fp8_matmul(self.device)
        return floor_seconds(flops, self.peak, supports_fp8_matmul=in_fp8)

    def work(self, window: WindowSize) -> CallWork:
        """What a call multiplies."""
        return call_work(self.sizes.transformer, window)

    def render_input(self, window: WindowSize, *presets: Preset) -> BenchInput:
        """What is rendered at a size."""
        return BenchInput(
            window, self.motion, {preset: preset_values(preset, window, self.motion) for preset in presets}
        )
