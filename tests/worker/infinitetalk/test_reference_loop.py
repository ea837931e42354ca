"""Whole runs with other settings than the recorded ones, against the published loop as one plain function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from skimage.color import lab2rgb, rgb2lab
from tests.worker.infinitetalk.conftest import TEXT_CHANNELS, TinyCodec
from tests.worker.infinitetalk.parity.published import PublishedRun
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import (
    Condition,
    Encoders,
    Guidance,
    Material,
    Projection,
    Settings,
    StepCache,
    predict_velocity,
    published_timesteps,
    render_windows,
    window_spans,
)
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import WindowNoise
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import Calibration
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

Kept = dict[str, Tensor]
LINEAR = Calibration((1.0, 0.0), first=2, last=1, on_projection=True)


@dataclass(frozen=True)
class Run:
    """What to render; frames of the source video, or one for a picture that stays."""

    lengths: tuple[int, ...] = (30,)
    max_frames: int = 1000
    window: int = 13
    motion: int = 5
    steps: int = 2
    shift: float = 3.0
    guidance: Guidance = Guidance(5, 4)  # noqa: RUF009 - frozen
    cache: float | None = None
    colour: float = 1.0
    source_frames: int = 1
    size: tuple[int, int] = (16, 32)

    @property
    def tracks(self) -> list[np.ndarray[Any, Any]]:
        generator = np.random.default_rng(len(self.lengths))
        return [generator.standard_normal((length, 1, 4)).astype(np.float32) for length in self.lengths]

    @property
    def pictures(self) -> list[Tensor]:
        generator = np.random.default_rng(self.source_frames)
        pictures = generator.uniform(-0.7, 0.7, (self.source_frames, 3, *self.size)).astype(np.float32)
        return list(torch.from_numpy(pictures))

    @property
    def regions(self) -> Tensor:
        height, width = self.size[0] // 8, self.size[1] // 8
        regions = torch.zeros(3, height, width)
        regions[0, :, 0], regions[1, :, -1] = 1, 1
        regions[2] = 1 - regions[0] - regions[1]
        return regions


def see(picture: Tensor) -> Tensor:
    return torch.linspace(-1, 1, 8).repeat(257, 1) * picture.mean((1, 2)).sum()


def read(prompt: str) -> Tensor:
    return torch.linspace(0, len(prompt), 3 * TEXT_CHANNELS).reshape(3, TEXT_CHANNELS) / 9


def rendered(transformer: AudioWanTransformer3DModel, run: Run) -> Tensor:
    audio = PublishedRun(run.tracks, run.max_frames, run.window, run.motion)
    settings = Settings(
        timesteps=published_timesteps(run.steps, run.shift),
        guidance=run.guidance,
        prompt="speaks",
        negative_prompt="is silent",
        step_cache=None if run.cache is None else StepCache(run.cache, LINEAR),
        colour_correction=run.colour,
        window=run.window,
        motion=run.motion,
    )
    pictures = run.pictures
    material = Material(lambda frame: pictures[min(frame, len(pictures) - 1)], audio, WindowNoise(3), run.regions)
    spans = window_spans(0, audio.window_lengths, motion=run.motion)
    windows = render_windows(transformer, Encoders(TinyCodec(), see, read), settings, material, spans)
    return torch.cat([window.frames for window in windows], 1)[:, : audio.frames]


def published(transformer: AudioWanTransformer3DModel, run: Run) -> tuple[Tensor, list[bool]]:
    """The published loop; and which steps ran the blocks."""
    codec, tracks, pictures, noise = TinyCodec(), list(run.tracks), run.pictures, WindowNoise(3)
    levels = np.append(np.linspace(1000, 1, run.steps), 0) / 1000
    times = 1000 * run.shift * levels / (1 + (run.shift - 1) * levels)
    text_scale, audio_scale, projection = run.guidance.text, run.guidance.audio, run.guidance.projection
    start, window, made, computed = 0, 0, [], []
    last, extended, motion = run.max_frames <= run.window, False, torch.zeros(0)
    while True:
        picture = pictures[min(start, len(pictures) - 1)]
        clip = torch.cat([picture[:, None], torch.zeros(3, run.window - 1, *run.size)], 1)
        latents = codec.encode(clip)
        mask = torch.zeros(4, *latents.shape[1:])
        mask[:, 0] = 1
        around = np.arange(start, start + run.window)[:, None] + np.arange(-2, 3)
        features = np.stack([track[around.clip(0, len(track) - 1)] for track in tracks])
        sound = transformer.encode_audio(features, run.regions)
        silence = transformer.encode_audio(np.zeros_like(features[:1]))
        reference, image = torch.cat([mask, latents]), see(picture)
        branches = {"cond": ("speaks", sound), "drop_text": ("is silent", sound), "uncond": ("is silent", silence)}
        if math.isclose(text_scale, 1):
            branches = {"cond": ("speaks", sound), "drop_audio": ("speaks", silence)}

        x = noise(window, tuple(latents.shape))
        clean = codec.encode(picture[:, None]) if window == 0 else motion
        held, kept, past = clean.shape[1], Kept(), Kept()
        before, moved = torch.zeros(0), 0.0
        for step in range(run.steps):
            now = transformer.time_modulation(torch.tensor([times[step]], dtype=torch.float32))[1]
            skips = False
            if run.cache is not None and step >= 2 and step < run.steps - 1:
                moved += float((now - before).abs().mean() / before.abs().mean())
                skips = moved < run.cache
            moved, before = moved if skips else 0.0, now
            computed.append(not skips)
            x[:, :held] = clean
            v = {}
            for branch, (prompt, audio) in branches.items():

                def blocks(
                    tokens: Tensor, every: Any, branch: str = branch, kept: Kept = kept, skips: bool = skips
                ) -> Tensor:
                    if not skips:
                        kept[branch] = every(tokens) - tokens
                    return tokens + kept[branch]

                v[branch] = predict_velocity(
                    transformer, x, times[step], Condition(reference, image, read(prompt), audio), blocks
                )
            if projection is None and "uncond" in v:
                guided = v["uncond"] + text_scale * (v["cond"] - v["drop_text"])
                guided = guided + audio_scale * (v["drop_text"] - v["uncond"])
            elif projection is None:
                guided = v["drop_audio"] + audio_scale * (v["cond"] - v["drop_audio"])
            else:
                ways = (
                    {"audio": (audio_scale, v["cond"] - v["drop_audio"])}
                    if "drop_audio" in v
                    else {
                        "text": (text_scale, v["cond"] - v["drop_text"]),
                        "audio": (audio_scale, v["drop_text"] - v["uncond"]),
                    }
                )
                guided, axis = v["cond"], (v["cond"] / v["cond"].norm()).double()
                for name, (scale, way) in ways.items():
                    past[name] = way + projection.momentum * past.get(name, 0)
                    short = past[name] * min(1.0, projection.norm_threshold / float(past[name].norm()))
                    across = short - ((short.double() * axis).sum() * axis).float()
                    guided = guided + (scale - 1) * across
            x = x - guided * float(times[step] - times[step + 1]) / 1000
            x[:, :held] = clean

        video = codec.decode(x)
        video = torch.stack([recoloured(frame, pictures[0], run.colour) for frame in video.unbind(1)], 1)
        made.append(video if window == 0 else video[:, run.motion :])
        if last:
            break
        motion = codec.encode(video[:, -run.motion :])
        start, window = start + run.window - run.motion, window + 1
        end = start + run.window
        if end >= min(run.max_frames, len(tracks[0])):
            last = True
            extended = any(end >= len(track) for track in tracks)
            tracks = [
                np.concatenate([track, track[-(end - len(track) + 3) :][::-1]]) if end >= len(track) else track
                for track in tracks
            ]
    whole = torch.cat(made, 1)[:, : run.max_frames]
    return whole[:, : run.lengths[-1]] if extended else whole, computed


def recoloured(frame: Tensor, reference: Tensor, strength: float) -> Tensor:
    if strength == 0:
        return frame
    rgb, goal = (((picture.permute(1, 2, 0).double().numpy() + 1) / 2).clip(0, 1) for picture in (frame, reference))
    lab, goal = rgb2lab(rgb), rgb2lab(goal)
    matched = (lab - lab.mean((0, 1))) * (goal.std((0, 1)) / lab.std((0, 1))) + goal.mean((0, 1))
    corrected = torch.from_numpy(lab2rgb(matched).clip(0, 1) * 2 - 1).permute(2, 0, 1).float()
    return (1 - strength) * frame.clamp(-1, 1) + strength * corrected


APG = Projection(norm_threshold=6.0)
RUNS = {
    "one window": Run(max_frames=13),
    "a cut window": Run(max_frames=10),
    "colours left alone": Run(colour=0.0),
    "colours half way": Run(colour=0.5, guidance=Guidance(1, 2)),
    "sound off": Run(guidance=Guidance(5, 1)),
    "nothing off": Run(guidance=Guidance(1, 1), steps=3),
    "projected": Run(guidance=Guidance(4, 3, APG), steps=3),
    "projected, no text": Run(guidance=Guidance(1, 3, APG), steps=3),
    "steps skipped": Run(steps=9, cache=0.35, lengths=(24,)),
    "steps skipped, no text, projected": Run(steps=9, cache=0.35, lengths=(20,), guidance=Guidance(1, 2, APG)),
    "a video": Run(source_frames=12, lengths=(34,), shift=7.0),
    "one shared frame": Run(motion=1),
    "nearly all shared": Run(motion=9, lengths=(22,)),
    "two speakers": Run(lengths=(30, 30), size=(32, 48)),
    "two speakers of unequal length": Run(lengths=(31, 19), size=(32, 48), guidance=Guidance(1, 2)),
    "the second ends windows before": Run(lengths=(40, 16), size=(32, 48), guidance=Guidance(1, 2)),
    "the second longer": Run(lengths=(19, 31), size=(32, 48), guidance=Guidance(1, 2)),
    "a longest length": Run(lengths=(60,), max_frames=27),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_that_of_the_reference_loop(tiny_transformer: AudioWanTransformer3DModel, name: str) -> None:
    run = RUNS[name]
    expected, computed = published(tiny_transformer, run)
    found = rendered(tiny_transformer, run)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, atol=1e-3)
    assert all(computed) == (run.cache is None)
