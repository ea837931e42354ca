"""From windows of speech features to the tokens that the audio attention hears (InfiniteTalk's AudioProjModel)."""

from __future__ import annotations

import torch
from diffusers.models.normalization import FP32LayerNorm
from torch import Tensor, nn


class AudioProjection(nn.Module):
    """Three linear layers over the features around each latent frame.

    The first latent frame stands for one video frame and hears its whole window. Every further one stands for
    ``vae_scale`` frames; of their windows it hears the contiguous span without repetitions, ``window + vae_scale - 1``
    features long.

    Args:
        window: Features around a video frame, itself in the middle; odd.
        layers: Layers of the speech model whose outputs make one feature.
        channels: Of each layer.
        hidden: Width between the linear layers.
        tokens: Tokens per latent frame and speaker.
        token_channels: Channels of a token.
        vae_scale: Video frames per latent frame.
    """

    def __init__(
        self, window: int, layers: int, channels: int, hidden: int, tokens: int, token_channels: int, vae_scale: int
    ) -> None:
        super().__init__()
        self.middle, self.tokens, self.vae_scale = window // 2, tokens, vae_scale
        self.proj1 = nn.Linear(window * layers * channels, hidden)
        self.proj1_vf = nn.Linear((window + vae_scale - 1) * layers * channels, hidden)
        self.proj2 = nn.Linear(hidden, hidden)
        self.proj3 = nn.Linear(hidden, tokens * token_channels)
        self.norm = FP32LayerNorm(token_channels, eps=1e-5)

    def forward(self, windows: Tensor) -> Tensor:
        """Project.

        Args:
            windows: (speakers, frames, window, layers, channels); ``1 + vae_scale * n`` frames.

        Returns:
            (speakers, 1 + n, tokens, token_channels).
        """
        first = self.proj1(windows[:, :1].flatten(2))
        later = self.proj1_vf(self.spans(windows[:, 1:]).flatten(2))
        hidden = torch.cat([first, later], 1).relu()
        tokens = self.proj3(self.proj2(hidden).relu()).unflatten(-1, (self.tokens, -1))
        normalised: Tensor = self.norm(tokens)
        return normalised

    def spans(self, windows: Tensor) -> Tensor:
        """Features that a later latent frame hears: its first frame's past, its frames, its last frame's future.

        Args:
            windows: (speakers, vae_scale * n, window, layers, channels).

        Returns:
            (speakers, n, window + vae_scale - 1, layers, channels).
        """
        groups = windows.unflatten(1, (-1, self.vae_scale))
        past, inner, future = groups[:, :, 0], groups[:, :, 1:-1], groups[:, :, -1]
        parts = [past[:, :, : self.middle + 1], inner[:, :, :, self.middle], future[:, :, self.middle :]]
        return torch.cat(parts, 2)
