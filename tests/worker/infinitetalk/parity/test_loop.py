"""The streaming loop against the published one, with stand-ins for the encoders, in float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from tests.worker.infinitetalk.parity import frozen
from tests.worker.infinitetalk.parity.conftest import read_recording
from tests.worker.infinitetalk.parity.summaries import assert_matches_summary
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import (
    Encoders,
    Guidance,
    Material,
    Projection,
    PublishedRun,
    Settings,
    StepCache,
    build_transformer,
    published_timesteps,
    render_windows,
    window_spans,
)
from talkingvideo_worker.engines.infinitetalk.conditioning.pictures import (
    covering,
    covering_masks,
    halves,
    latent_masks,
    speaker_masks,
    to_tensor,
)
from talkingvideo_worker.engines.infinitetalk.loop import RenderedWindow
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.sampling.noise import PublishedNoise

RECORD, ARRAYS = read_recording("loop")
LOOP = frozen.LOOP
TOLERANCE = 1e-3
CALL_TOLERANCE = 5e-4


class StandInCodec:
    """The stand-in VAE, which remembers what it encoded."""

    def __init__(self, stand_ins: Any) -> None:
        self._stand_ins = stand_ins
        self.encoded: list[tuple[Tensor, Tensor]] = []

    def encode(self, video: Tensor) -> Tensor:
        latents = torch.from_numpy(self._stand_ins.vae_encode(video))
        self.encoded.append((video, latents))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        return torch.from_numpy(self._stand_ins.vae_decode(latents))


@dataclass
class Run:
    """What a scenario gave."""

    windows: list[RenderedWindow] = field(default_factory=list)
    calls: list[tuple[float, Tensor, Tensor]] = field(default_factory=list)
    codec: StandInCodec | None = None
    regions: Tensor | None = None

    @property
    def video(self) -> Tensor:
        return torch.cat([window.frames for window in self.windows], 1)


def transformer_of(spec: dict[str, Any]) -> AudioWanTransformer3DModel:
    slow = spec["teacache"] is not None
    return build_transformer(LOOP["config"], frozen.state_dict(LOOP["set"], RECORD["weights"], slow_time=slow))


def size_of(spec: dict[str, Any]) -> tuple[int, int]:
    ratio = spec["src_hw"][0] / spec["src_hw"][1]
    height, width = LOOP["buckets"][min(LOOP["buckets"], key=lambda key: abs(float(key) - ratio))]
    return height, width


def regions_of(spec: dict[str, Any]) -> Tensor:
    source = spec["src_hw"]
    if len(spec["audio_lengths"]) == 1:
        masks = np.ones((3, *source), np.bool_)
    else:
        masks = speaker_masks(spec["bbox"] or halves(*source), *source)
    return latent_masks(covering_masks(masks, *size_of(spec)))


def reference_of(scenario: str, spec: dict[str, Any], stand_ins: Any) -> Callable[[int], Tensor]:
    @cache
    def still() -> Tensor:
        return to_tensor(covering(stand_ins.frame(scenario, spec, 0), *size_of(spec)))

    def moving(frame: int) -> Tensor:
        return to_tensor(covering(stand_ins.frame(scenario, spec, frame), *size_of(spec)))

    return (lambda _frame: still()) if spec["n_frames"] == 1 else moving


def play(scenario: str) -> Run:
    spec = LOOP["scenarios"][scenario]
    stand_ins, transformer = frozen.StandIns(LOOP), transformer_of(spec)
    run = Run(codec=StandInCodec(stand_ins), regions=regions_of(spec))
    tracks = [stand_ins.audio(scenario, i, length) for i, length in enumerate(spec["audio_lengths"])]
    hearing = PublishedRun(tracks, spec["max_frames"], spec["frame_num"], spec["motion_frame"])

    def keep(_module: Any, args: tuple[Any, ...], _kwargs: Any, out: Any) -> None:
        run.calls.append((float(args[1]), args[0][0], out[0][0]))

    transformer.register_forward_hook(keep, with_kwargs=True)
    assert run.codec is not None
    run.windows = list(
        render_windows(
            transformer,
            Encoders(run.codec, stand_ins.clip, stand_ins.text),
            Settings(
                timesteps=published_timesteps(spec["steps"], spec["shift"]),
                guidance=Guidance(spec["text_scale"], spec["audio_scale"], Projection() if spec["apg"] else None),
                prompt=LOOP["prompt"],
                negative_prompt=LOOP["negative"],
                step_cache=None if spec["teacache"] is None else StepCache(spec["teacache"]),
                colour_correction=spec["colour"],
                window=spec["frame_num"],
                motion=spec["motion_frame"],
            ),
            Material(
                reference=reference_of(scenario, spec, stand_ins),
                hearing=hearing,
                noise=lambda window, shape: stand_ins.noise(scenario, window, shape),
                regions=run.regions,
            ),
            window_spans(0, hearing.window_lengths, motion=spec["motion_frame"]),
        )
    )
    return run


@cache
def played(scenario: str) -> Run:
    return play(scenario)


scenarios = pytest.mark.parametrize("scenario", LOOP["scenarios"])


@scenarios
def test_the_regions_are_the_published_masks(scenario: str) -> None:
    assert (regions_of(LOOP["scenarios"][scenario]).numpy() == ARRAYS[f"{scenario}.masks"]).all()


@scenarios
def test_the_model_is_called_as_published(scenario: str) -> None:
    recorded = RECORD["scenarios"][scenario]["calls"]
    calls = played(scenario).calls
    assert len(calls) == len(recorded)
    for (timestep, given, out), call in zip(calls, recorded, strict=True):
        assert timestep == pytest.approx(call["t"], abs=2e-3)
        assert_matches_summary(given[:16], call["x"], CALL_TOLERANCE)
        assert_matches_summary(out, call["out"], CALL_TOLERANCE)


@scenarios
def test_every_window_is_conditioned_as_published(scenario: str) -> None:
    run, recorded = played(scenario), RECORD["scenarios"][scenario]["chunks"]
    branches = len(run.calls) // len(run.windows)
    for number, (window, chunk) in enumerate(zip(run.windows, recorded, strict=True)):
        assert window.span.start == chunk["audio_start"]
        assert_matches_summary(run.calls[number * branches][1][16:], chunk["y"], CALL_TOLERANCE)
        assert_matches_summary(window.latents, chunk["final_latents"], TOLERANCE)


@scenarios
def test_the_latents_are_the_published_ones(scenario: str) -> None:
    for number, window in enumerate(played(scenario).windows):
        recorded = ARRAYS[f"{scenario}.latents{number}"]
        np.testing.assert_allclose(frozen.sample_latents(window.latents), recorded, rtol=0, atol=TOLERANCE)


@scenarios
def test_the_video_is_the_published_one(scenario: str) -> None:
    video = played(scenario).video.numpy()
    assert list(video.shape) == RECORD["scenarios"][scenario]["video_shape"]
    np.testing.assert_allclose(frozen.sample_video(video), ARRAYS[f"{scenario}.video"], rtol=0, atol=TOLERANCE)
    means, spreads = video.mean((0, 2, 3)), video.std((0, 2, 3))
    np.testing.assert_allclose(means, ARRAYS[f"{scenario}.frame_mean"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(spreads, ARRAYS[f"{scenario}.frame_std"], rtol=0, atol=TOLERANCE)


def test_the_published_noise_is_drawn_again() -> None:
    record = RECORD["seed_stream"]
    noise = PublishedNoise(record["seed"], record["steps"])
    for window, recorded in enumerate(record["noise"]):
        assert_matches_summary(noise(window, tuple(recorded["shape"])), recorded, 1e-6)
