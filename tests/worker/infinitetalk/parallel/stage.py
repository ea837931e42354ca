"""Windows to render, alone and together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from tests.worker.infinitetalk.conftest import TinyCodec
from tests.worker.infinitetalk.parallel import small_model
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk import Encoders, Material, Settings, Tracks, window_spans
from talkingvideo_worker.engines.infinitetalk.loop import Denoiser, RenderedWindow, render_windows
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel.crew import Crew
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout
from talkingvideo_worker.engines.infinitetalk.parallel.members import StartMethod
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance
from talkingvideo_worker.engines.infinitetalk.sampling.noise import WindowNoise
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import published_timesteps

HEIGHT, WIDTH = 32, 64
CPUS = ("cpu",) * 8
SERVED: StartMethod = "forkserver"
"""From a process that has imported everything (``conftest``): that takes each anew many seconds. The one in which tests
run cannot be forked: torch has threads in it by then."""
SPANS = window_spans(0, (9, 4), motion=5)
PLAIN = Settings(published_timesteps(3, 3.0), Guidance(1, 1), "speaks", "silent", window=9, motion=5)


@dataclass(frozen=True)
class Together:
    """A crew, its leader's model, and the same model alone."""

    crew: Crew
    shared: AudioWanTransformer3DModel
    alone: AudioWanTransformer3DModel

    def agree(self, settings: Settings, speakers: int = 1) -> bool:
        expected = rendered(self.alone, settings, speakers)
        found = rendered(self.shared, settings, speakers, denoiser=self.crew.denoise)
        assert not any(torch.allclose(a.latents, b.latents, atol=1e-2) for a, b in pairwise(expected))
        return all(
            torch.allclose(ours.latents, theirs.latents, atol=2e-5)
            and torch.allclose(ours.frames, theirs.frames, atol=2e-5)
            for ours, theirs in zip(found, expected, strict=True)
        )


def material(speakers: int) -> Material:
    generator = np.random.default_rng(5)
    tracks = [generator.standard_normal((30, 1, 4)).astype(np.float32) for _ in range(speakers)]
    picture = torch.from_numpy(generator.uniform(-1, 1, (3, HEIGHT, WIDTH)).astype(np.float32))
    return Material(lambda _frame: picture, Tracks(tracks), WindowNoise(1), halves() if speakers == 2 else None)


def halves() -> Tensor:
    """Speakers left and right, and nobody between them."""
    regions = torch.zeros(3, HEIGHT // 8, WIDTH // 8)
    regions[0, :, :3], regions[1, :, 5:], regions[2, :, 3:5] = 1, 1, 1
    return regions


def rendered(
    transformer: AudioWanTransformer3DModel, settings: Settings, speakers: int = 1, denoiser: Denoiser = denoise
) -> list[RenderedWindow]:
    encoders = Encoders(
        TinyCodec(),
        lambda picture: torch.ones(257, 8) * picture.mean(),
        lambda prompt: torch.full((3, small_model.TEXT_CHANNELS), len(prompt) / 10),
    )
    return list(render_windows(transformer, encoders, settings, material(speakers), SPANS, denoiser=denoiser))


def assembled(layout: Layout) -> Together:
    crew = Crew(small_model.load, layout, CPUS, SERVED)
    shared = small_model.load()
    crew.join(shared)
    return Together(crew, shared, small_model.load())
