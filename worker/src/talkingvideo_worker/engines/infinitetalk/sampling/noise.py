"""Where windows start from: standard normal numbers, drawn on the CPU so that every device has the same ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class WindowNoise:
    """Noise of its own for each window, whatever was drawn for others: a window can be rendered again alone.

    Attributes:
        seed: Of the video.
    """

    seed: int

    def __call__(self, window: int, shape: tuple[int, ...]) -> Tensor:
        """The window's noise."""
        digest = hashlib.sha256(f"{self.seed}/{window}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        return torch.randn(shape, generator=generator)


@dataclass(frozen=True)
class PublishedNoise:
    """The noise that the published code draws on a CPU, for comparisons with it.

    It draws from one stream, and from the second window on also some numbers per step that it does not use.

    Attributes:
        seed: Of the stream.
        steps: Of the sampler.
        motion_latents: Latent frames that a window shares with the one before.
    """

    seed: int
    steps: int
    motion_latents: int = 3

    def __call__(self, window: int, shape: tuple[int, ...]) -> Tensor:
        """The window's noise: all earlier draws are made again."""
        generator = torch.Generator().manual_seed(self.seed)
        unused = (shape[0], self.motion_latents, *shape[2:])
        noise = torch.randn(shape, generator=generator)
        for later in range(1, window + 1):
            noise = torch.randn(shape, generator=generator)
            if later < window:
                for _ in range(1 + self.steps):
                    torch.randn(unused, generator=generator)
        return noise
