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
from tests.worker.infinitetalk.parity.published import (
    PublishedNoise,
    PublishedRun,
    covering,
    covering_masks,
    speaker_masks,
)
from tests.worker.infinitetalk.parity.summaries import assert_matches_summary
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import (
    Encoders,
    Guidance,
    Material,
    Projection,
    Settings,
    StepCache,
    build_transformer,
    published_timesteps,
    render_windows,
    window_spans,
)
from talkingvideo_worker.engines.infinitetalk.conditioning.image import to_tensor
from talkingvideo_worker.engines.infinitetalk.conditioning.regions import halves, latent_masks
from talkingvideo_worker.engines.infinitetalk.pipeline import RenderedWindow
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch
from talkingvideo_worker.engines.infinitetalk.transformer import AudioContext, AudioWanTransformer3DModel

RECORD, ARRAYS = read_recording("loop")
LOOP = frozen.LOOP
TOLERANCE = 1e-3
CALL_TOLERANCE = 5e-4


class StandInCodec:
    """The stand-in VAE, which records what it encoded."""

    def __init__(self, stand_ins: Any) -> None:
        self._stand_ins = stand_ins
        self.encoded: list[tuple[Tensor, Tensor]] = []
        self.decoded: list[Tensor] = []

    def encode(self, video: Tensor) -> Tensor:
        latents = torch.from_numpy(self._stand_ins.vae_encode(video))
        self.encoded.append((video, latents))
        return latents

    def decode(self, latents: Tensor) -> Tensor:
        self.decoded.append(torch.from_numpy(self._stand_ins.vae_decode(latents)))
        return self.decoded[-1]


@dataclass
class Call:
    """What the model was given, and what it answered."""

    timestep: float
    given: Tensor
    text: Tensor
    audio: AudioContext
    out: Tensor
    computed: bool


@dataclass
class Run:
    """What a scenario gave."""

    codec: StandInCodec
    audio: PublishedRun
    transformer: AudioWanTransformer3DModel
    regions: Tensor
    windows: list[RenderedWindow] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    pictures: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    frames_asked: list[int] = field(default_factory=list)
    noise: list[Tensor] = field(default_factory=list)

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


def reference_frames(scenario: str, spec: dict[str, Any], stand_ins: Any) -> Callable[[int], Tensor]:
    @cache
    def still() -> Tensor:
        return to_tensor(covering(stand_ins.frame(scenario, spec, 0), *size_of(spec)))

    def moving(frame: int) -> Tensor:
        return to_tensor(covering(stand_ins.frame(scenario, spec, frame), *size_of(spec)))

    return (lambda _frame: still()) if spec["n_frames"] == 1 else moving


def play(scenario: str) -> Run:
    spec = LOOP["scenarios"][scenario]
    stand_ins, transformer = frozen.StandIns(LOOP), transformer_of(spec)
    tracks = [stand_ins.audio(scenario, i, length) for i, length in enumerate(spec["audio_lengths"])]
    audio = PublishedRun(tracks, spec["max_frames"], spec["frame_num"], spec["motion_frame"])
    run = Run(StandInCodec(stand_ins), audio, transformer, regions_of(spec))
    reference, blocks_run = reference_frames(scenario, spec, stand_ins), [0]

    def count(*_of_block: Any) -> None:
        blocks_run[0] += 1

    def keep(_module: Any, args: tuple[Any, ...], kwargs: Any, out: Any) -> None:
        computed, blocks_run[0] = blocks_run[0] > 0, 0
        run.calls.append(Call(float(args[1]), args[0][0], args[2][0], kwargs["audio"], out[0][0], computed))

    def look(frame: int) -> Tensor:
        run.frames_asked.append(frame)
        return reference(frame)

    def see(picture: Tensor) -> Tensor:
        run.pictures.append((picture, torch.from_numpy(stand_ins.clip(picture))))
        return run.pictures[-1][1]

    def noise(window: int, shape: tuple[int, ...]) -> Tensor:
        run.noise.append(torch.from_numpy(stand_ins.noise(scenario, window, shape)))
        return run.noise[-1]

    transformer.register_forward_hook(keep, with_kwargs=True)
    transformer.blocks[0].register_forward_hook(count)
    run.windows = list(
        render_windows(
            transformer,
            Encoders(run.codec, see, stand_ins.text),
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
                reference=look,
                audio=audio,
                noise=noise,
                regions=run.regions,
            ),
            window_spans(0, audio.window_lengths, motion=spec["motion_frame"]),
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
    spec, recorded = LOOP["scenarios"][scenario], RECORD["scenarios"][scenario]
    calls = played(scenario).calls
    branches = Guidance(spec["text_scale"], spec["audio_scale"]).branches
    steps = [
        (window, step, branch)
        for window in range(len(recorded["chunks"]))
        for step in range(spec["steps"])
        for branch in branches
    ]
    assert len(calls) == recorded["n_model_calls"] == len(steps)
    for call, at, expected in zip(calls, steps, recorded["calls"], strict=True):
        assert at == (expected["chunk"], expected["step"], expected["branch"])
        assert call.timestep == pytest.approx(expected["t"], abs=2e-3)
        assert call.computed == bool(expected["computed"])
        assert_matches_summary(call.given[:16], expected["x"], CALL_TOLERANCE)
        assert_matches_summary(call.out, expected["out"], CALL_TOLERANCE)


@scenarios
def test_every_branch_has_the_published_text_and_audio(scenario: str) -> None:
    run, stand_ins = played(scenario), frozen.StandIns(LOOP)
    for call, expected in zip(run.calls, RECORD["scenarios"][scenario]["calls"], strict=True):
        branch, window = Branch(expected["branch"]), run.windows[expected["chunk"]]
        text = stand_ins.text(LOOP["prompt"] if branch.has_prompt else LOOP["negative"])
        assert len(text) == expected["context_tokens"]
        assert (call.text[: len(text)].numpy() == text).all()
        assert not call.text[len(text) :].any()
        features = torch.from_numpy(run.audio.windows(window.span.start, 81))
        features = features if branch.has_audio else torch.zeros_like(features[:1])
        assert list(features.shape) == expected["audio_shape"]
        assert call.audio.speakers == len(features)
        assert torch.equal(call.audio.tokens, run.transformer.encode_audio(features, run.regions).tokens)


@scenarios
def test_every_window_is_conditioned_as_published(scenario: str) -> None:
    run, recorded = played(scenario), RECORD["scenarios"][scenario]["chunks"]
    window_calls = len(run.calls) // len(run.windows)
    clips = [pair for pair in run.codec.encoded if pair[0].shape[1] == 81]
    starts = [pair for pair in run.codec.encoded if pair[0].shape[1] != 81]
    for number, (window, chunk) in enumerate(zip(run.windows, recorded, strict=True)):
        # A picture that stays is encoded once, of a video one for each window.
        same, own = min(number, len(clips) - 1), number
        assert window.span.start == chunk["audio_start"]
        assert run.frames_asked[1 + number] == chunk["cond_frame"]
        given = run.calls[number * window_calls].given
        assert list(given[:16].shape) == chunk["x_shape"]
        assert given[0].numel() // 4 == chunk["seq_len"]
        assert_matches_summary(run.noise[number], chunk["noise"], 1e-6)
        assert_matches_summary(run.pictures[same][0], chunk["cond_image"], 2 / 255 + 1e-6)
        assert_matches_summary(run.pictures[same][1], chunk["clip"], CALL_TOLERANCE)
        assert_matches_summary(given[16:], chunk["y"], CALL_TOLERANCE)
        assert_matches_summary(run.audio.windows(window.span.start, 81), chunk["audio_windows"], 1e-6)
        for (video, latents), expected in zip((clips[same], starts[own]), chunk["vae_encode"], strict=True):
            assert_matches_summary(video, expected["input"], TOLERANCE)
            assert_matches_summary(latents, expected["output"], TOLERANCE)
        assert_matches_summary(window.latents, chunk["final_latents"], TOLERANCE)
        assert_matches_summary(run.codec.decoded[number], chunk["decoded"], TOLERANCE)


@scenarios
def test_the_source_frames_are_those_that_the_published_loop_uses(scenario: str) -> None:
    """It asks for one more when it stops; here frame 0 is asked for once more, for the colours."""
    asked = RECORD["scenarios"][scenario]["frame_ids_requested"]
    run = played(scenario)
    assert run.frames_asked == [0, *asked[: len(run.windows)]]


@scenarios
def test_the_latents_are_the_published_ones(scenario: str) -> None:
    for number, window in enumerate(played(scenario).windows):
        recorded = ARRAYS[f"{scenario}.latents{number}"]
        np.testing.assert_allclose(frozen.sample_latents(window.latents), recorded, rtol=0, atol=TOLERANCE)


@scenarios
def test_the_video_is_the_published_one(scenario: str) -> None:
    video = played(scenario).video.numpy()
    assert list(video.shape) == RECORD["scenarios"][scenario]["video_shape"]
    assert video.mean() == pytest.approx(RECORD["scenarios"][scenario]["video_mean"], abs=TOLERANCE)
    np.testing.assert_allclose(frozen.sample_video(video), ARRAYS[f"{scenario}.video"], rtol=0, atol=TOLERANCE)
    means, spreads = video.mean((0, 2, 3)), video.std((0, 2, 3))
    np.testing.assert_allclose(means, ARRAYS[f"{scenario}.frame_mean"], rtol=0, atol=TOLERANCE)
    np.testing.assert_allclose(spreads, ARRAYS[f"{scenario}.frame_std"], rtol=0, atol=TOLERANCE)


def test_the_published_noise_is_drawn_again() -> None:
    record = RECORD["seed_stream"]
    noise = PublishedNoise(record["seed"], record["steps"])
    assert len(record["noise"]) == len(RECORD["scenarios"][record["scenario"]]["chunks"])
    for window, recorded in enumerate(record["noise"]):
        assert_matches_summary(noise(window, tuple(recorded["shape"])), recorded, 1e-6)
