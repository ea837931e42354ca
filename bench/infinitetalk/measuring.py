"""One variant of the transformer at one size: a call, what is around it, windows of every preset, the most memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any

import torch
from infinitetalk.figures import CallRow, PartRow
from infinitetalk.material import PROMPT, BenchInput
from infinitetalk.plan import Variant
from infinitetalk.profiling import profiled_kernels
from infinitetalk.session import COLOURS, DECODE, ENCODE_LAST, REPEATED_PARTS, TO_HOST, Session
from infinitetalk.timers import median_seconds
from torch import Tensor

from talkingvideo_api.spec import Preset
from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette
from talkingvideo_worker.engines.infinitetalk.memory.machine import free_unused_memory
from talkingvideo_worker.engines.infinitetalk.memory.modes import GB, AuxiliaryNetworks, Workload, gpu_bytes
from talkingvideo_worker.engines.infinitetalk.pipeline import Encoders, render_windows
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import predict_velocity
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

FRAMES_PER_SECOND = 25
TIMESTEP = 500.0
SAMPLES = 3
"""Calls and parts take seconds, and hardly vary."""


@dataclass(frozen=True)
class VariantMeasurement:
    """What is measured together.

    Attributes:
        session: Where figures go.
        variant: Of the transformer.
        render_input: What is rendered.
        transformer: The variant's.
        encoders: The networks around it.
    """

    session: Session
    variant: Variant
    render_input: BenchInput
    transformer: AudioWanTransformer3DModel
    encoders: Encoders

    def measure(self, predicted: float | None) -> None:
        """Measure.

        Args:
            predicted: Seconds of a call by the microbenchmarks.
        """
        self._reset_peak()
        row = self._call_row(predicted)
        self.session.figures.add(row)
        if row.seconds is None:
            return
        what = f"{self.variant}, {self.render_input.window}"
        parts = self.session.attempt(f"{what}, around the transformer", self._parts)
        for preset in self.render_input.values:
            self.session.attempt(f"{what}, {preset}", partial(self._window, preset, row.seconds, parts))
        self.session.figures.add(self._with_memory(row))

    def profile(self, keep: Callable[[Any], None]) -> None:
        """Profile a call.

        Args:
            keep: Given the profile.
        """
        figures = self.session.figures
        figures.kernels = profiled_kernels(self._call(), self.session.device, keep)
        figures.profiled = f"{self.variant}, {self.render_input.window}"

    def _call_row(self, predicted: float | None) -> CallRow:
        session, window, action = self.session, self.render_input.window, self._call()
        first = session.timer.seconds(action)
        seconds = median(session.timer.seconds(action) for _ in range(SAMPLES))
        flops = session.work(window).flops
        floor = session.floor(flops, self.variant.setup.arithmetic)
        return CallRow(
            str(self.variant),
            str(window),
            flops.total / 1e15,
            seconds,
            predicted and predicted / seconds,
            floor and floor / seconds,
            note=f"first call {first:.3g} s",
        )

    def _call(self) -> Callable[[], object]:
        render_input, device = self.render_input, self.session.device
        text = self.encoders.text(PROMPT).to(device)
        condition = render_input.condition(self.transformer, self.session.sizes, text, device)
        return partial(predict_velocity, self.transformer, render_input.latents(device), TIMESTEP, condition)

    def _parts(self) -> Mapping[str, float]:
        """Times what is around the transformer."""
        session, render_input, codec = self.session, self.render_input, self.encoders.video
        picture, latents = render_input.picture().to(session.device), render_input.latents(session.device)
        clip = picture[:, None].expand(-1, render_input.window.frames, -1, -1).contiguous()
        shared = clip[:, : render_input.motion].contiguous()
        actions: Mapping[str, Callable[[], object]] = {
            DECODE: partial(codec.decode, latents),
            ENCODE_LAST: partial(codec.encode, shared),
            COLOURS: partial(match_colours, clip, palette(picture), 1.0),
            TO_HOST: partial(_to_host, clip[:, render_input.motion :]),
            "encode a reference clip, once a picture": partial(codec.encode, clip),
            "image encoder, once a picture": partial(self.encoders.image, picture),
        }
        seconds = {part: median_seconds(action, session.timer, SAMPLES) for part, action in actions.items()}
        auxiliary = self.variant.setup.mode.auxiliary
        size = f"{render_input.window}" + (", tiled" if auxiliary is AuxiliaryNetworks.OFFLOADED else "")
        session.figures.add(*(PartRow(size, part, value) for part, value in seconds.items()))
        return seconds

    def _window(self, preset: Preset, call_seconds: float, parts: Mapping[str, float] | None) -> None:
        """Renders a window, or adds up its parts where that would take too long."""
        planned = self.session.window_row(self.variant, self.render_input.window, preset)
        seconds, how = planned.calls * call_seconds, "calls alone"
        if parts is not None:
            seconds, how = seconds + sum(parts[part] for part in REPEATED_PARTS), "added up"
        if seconds <= self.session.limits.longest_window:
            seconds, how = self._rendered_seconds(preset), "rendered"
        row = replace(
            planned,
            seconds=seconds,
            per_video_second=seconds * FRAMES_PER_SECOND / self.render_input.new_frames,
            over_floor=planned.floor_seconds and seconds / planned.floor_seconds,
            how=how,
        )
        self.session.figures.add(row)

    def _rendered_seconds(self, preset: Preset) -> float:
        """The second of two windows: the first one also encodes the reference."""
        timer, render_input = self.session.timer, self.render_input
        windows = render_windows(
            self.transformer,
            self.encoders,
            render_input.settings(preset),
            render_input.material(),
            render_input.spans(2),
            render_input.motion_latents(self.session.device),
        )
        _to_host(next(windows).frames)
        started = timer.now()
        _to_host(next(windows).frames)
        return timer.now() - started

    def _reset_peak(self) -> None:
        free_unused_memory()
        if self.session.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.session.device)

    def _with_memory(self, row: CallRow) -> CallRow:
        device, window = self.session.device, self.render_input.window
        if device.type != "cuda":
            return row
        return replace(
            row,
            allocated_gb=torch.cuda.max_memory_allocated(device) / GB,
            reserved_gb=torch.cuda.max_memory_reserved(device) / GB,
            estimated_gb=gpu_bytes(self.variant.setup.mode, Workload(window.pixels, window.frames)) / GB,
        )


def _to_host(frames: Tensor) -> None:
    """Frames as the engine hands them to the video encoder, one at a time: (3, n, height, width)."""
    for frame in frames.unbind(1):
        levels = ((frame + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
        levels.permute(1, 2, 0).contiguous().cpu()
