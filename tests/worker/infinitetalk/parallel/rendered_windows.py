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
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.parallel.group import WorkerGroup
from talkingvideo_worker.engines.infinitetalk.parallel.processes import StartMethod
from talkingvideo_worker.engines.infinitetalk.pipeline import RenderedWindow, render_windows
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Denoiser, WindowNoise, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import published_timesteps
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

HEIGHT, WIDTH = 32, 64
CPUS = ("cpu",) * 8
SERVED: StartMethod = "forkserver"
"""From a process that has imported everything (``conftest``): that takes each anew many seconds. The one in which tests
run cannot be forked: torch has threads in it by then."""
SPANS = window_spans(0, (9, 4), motion=5)
PLAIN = Settings(published_timesteps(3, 3.0), Guidance(1, 1), "speaks", "silent", window=9, motion=5)


@dataclass(frozen=True)
class Together:
    """A group, rank 0's model, and the same model in one process."""

    group: WorkerGroup
    shared: AudioWanTransformer3DModel
    alone: AudioWanTransformer3DModel

    def agree(self, settings: Settings, speakers: int = 1) -> bool:
        expected = rendered(self.alone, settings, speakers)
        found = rendered(self.shared, settings, speakers, denoiser=self.group.denoise)
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
    """Speakers left and right, and the background between them."""
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


def assembled(layout: ParallelConfig) -> Together:
    group = WorkerGroup(small_model.load, layout, CPUS, SERVED)
    shared = small_model.load()
    group.join(shared)
    return Together(group, shared, small_model.load())
