"""While a window is denoised the host runs ahead of the GPU: each wait would leave the GPU idle."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from tests.worker.infinitetalk.devices.conftest import FRAMES, WHOLE, Stage
from tests.worker.infinitetalk.devices.simulated import GPU, SimulatedGpu
from torch import Tensor

from talkingvideo_worker.engines.base import RenderInput, Track
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import Tracks, read_features
from talkingvideo_worker.engines.infinitetalk.conditioning.regions import regions_of
from talkingvideo_worker.engines.infinitetalk.engine import reference_frames
from talkingvideo_worker.engines.infinitetalk.loader import WeightsFolder
from talkingvideo_worker.engines.infinitetalk.pipeline import Material, RenderedWindow, render_windows, window_spans
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import WindowNoise, denoise
from talkingvideo_worker.engines.infinitetalk.settings import settings_of
from talkingvideo_worker.progress import ignore_progress

Watch = Callable[..., list[RenderedWindow]]


@pytest.fixture
def watch(gpu: SimulatedGpu, stage: Stage) -> Watch:
    """Renders a video; ``gpu.waits`` are those of denoising alone."""

    def watched(waits: list[str], *args: Any) -> Tensor:
        gpu.waits.clear()
        latents = denoise(*args)
        waits += gpu.waits
        return latents

    def render(render_input: RenderInput, first: int = 0, motion: Tensor | None = None) -> list[RenderedWindow]:
        networks = WeightsFolder(stage.weights).networks(render_input, FRAMES, ignore_progress).load()
        features = read_features(render_input, stage.prepared(render_input))
        material = Material(
            reference_frames(render_input.portrait), Tracks(features), WindowNoise(0), regions_of(render_input)
        )
        settings, waits = settings_of(render_input.values, 32 * 32), list[str]()
        spans = window_spans(0, WHOLE.windows, motion=settings.motion)[first:]
        rendered = render_windows(
            networks.transformer,
            networks.encoders,
            settings,
            material,
            spans,
            motion,
            denoiser=partial(watched, waits),
        )
        windows = list(rendered)
        gpu.waits = waits
        return windows

    return render


@pytest.mark.parametrize(("speakers", "resident"), [(1, None), (2, 0)])
def test_denoising_never_waits_and_its_results_stay_on_the_gpu(
    gpu: SimulatedGpu, stage: Stage, watch: Watch, speakers: int, resident: int | None
) -> None:
    tracks: list[Track] = [stage.track(number) for number in range(speakers)]
    sampling: dict[str, Any] = {
        "apg_momentum": -0.75,
        "apg_norm_threshold": 55.0,
        "tea_cache_threshold": 0.2,
        "steps": 2,
    }
    windows = watch(stage.render_input(*tracks, resident_parameters=resident, **sampling))
    assert gpu.waits == []
    parts = [part for window in windows for part in (window.frames, window.motion, window.latents)]
    assert {(part.device, part.dtype) for part in parts} == {(GPU, torch.float32)}


def test_latents_from_disk_are_copied_to_the_gpu_once(gpu: SimulatedGpu, stage: Stage, watch: Watch) -> None:
    render_input = stage.render_input()
    whole = watch(render_input)
    (again,) = watch(render_input, 1, whole[0].motion.cpu())
    assert gpu.waits == []
    assert torch.equal(again.frames.cpu(), whole[1].frames.cpu())
