"""What is rendered: random features of speech, a smooth picture, and the presets' settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from infinitetalk.random_networks import NetworkSizes
from infinitetalk.work import FRAMES_PER_LATENT, IMAGE_TOKENS, WindowSize
from torch import Tensor

from talkingvideo_api.effective import resolve
from talkingvideo_api.profile import Profile
from talkingvideo_api.spec import Preset, Resolution, TalkingVideoSpec
from talkingvideo_api.values import RenderValues
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import Tracks
from talkingvideo_worker.engines.infinitetalk.pipeline import LATENT_CHANNELS, Material, WindowSpan, window_spans
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, WindowNoise
from talkingvideo_worker.engines.infinitetalk.settings import LARGEST_480P, Settings, settings_of
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

LAYERS, CHANNELS = 12, 768
LATENT_SCALE = 8
MASK_CHANNELS = 4
PROMPT = "A person talking naturally"


@dataclass(frozen=True)
class BenchInput:
    """What the windows of a size are made from.

    Attributes:
        window: Its size.
        motion: Frames that a window shares with the one before.
        values: Render values of each preset.
    """

    window: WindowSize
    motion: int
    values: Mapping[Preset, RenderValues]

    @property
    def new_frames(self) -> int:
        """That a window after the first adds."""
        return self.window.frames - self.motion

    def settings(self, preset: Preset) -> Settings:
        """How a preset renders it."""
        return settings_of(self.values[preset], self.window.pixels)

    def spans(self, windows: int) -> tuple[WindowSpan, ...]:
        """Windows that go on from an earlier one."""
        return window_spans(self.window.frames, [self.new_frames] * windows, 1, self.motion, self.motion)

    def motion_latents(self, device: torch.device) -> Tensor:
        """What that earlier one left."""
        frames = 1 + (self.motion - 1) // FRAMES_PER_LATENT
        return torch.randn(LATENT_CHANNELS, frames, *self._latent_size, device=device)

    def material(self) -> Material:
        """A picture that stays, and features."""
        picture = self.picture()
        frames = 4 * self.window.frames
        features = np.random.default_rng(0).standard_normal((frames, LAYERS, CHANNELS), np.float32)
        tracks = Tracks([features.astype(np.float16)] * self.window.speakers)
        return Material(lambda _frame: picture, tracks, WindowNoise(0))

    def picture(self) -> Tensor:
        """(3, height, width) in -1..1: waves of a few periods."""
        rows = torch.linspace(-3, 3, self.window.height)[:, None]
        columns = torch.linspace(-4, 4, self.window.width)
        return torch.stack([torch.sin(rows + phase) * torch.cos(columns - phase) for phase in (0.0, 1.0, 2.0)])

    def latents(self, device: torch.device) -> Tensor:
        """Noise of a window."""
        return torch.randn(LATENT_CHANNELS, self.window.latent_frames, *self._latent_size, device=device)

    @torch.no_grad()
    def condition(
        self, transformer: AudioWanTransformer3DModel, sizes: NetworkSizes, text: Tensor, device: torch.device
    ) -> Condition:
        """What one call is conditioned on.

        Args:
            transformer: Encodes the audio.
            sizes: Of the networks.
            text: The prompt, encoded.
            device: Where it calculates.
        """
        features = torch.from_numpy(self.material().audio.windows(0, self.window.frames)).float().to(device)
        frames, size = self.window.latent_frames, self._latent_size
        return Condition(
            torch.randn(MASK_CHANNELS + LATENT_CHANNELS, frames, *size, device=device),
            torch.randn(IMAGE_TOKENS, sizes.transformer.image_channels, device=device),
            text,
            transformer.encode_audio(features),
        )

    @property
    def _latent_size(self) -> tuple[int, int]:
        return self.window.height // LATENT_SCALE, self.window.width // LATENT_SCALE


def preset_values(preset: Preset, window: WindowSize, motion: int) -> RenderValues:
    """Effective values of a preset, as a resource that names nothing else gets them.

    Args:
        preset: Its name.
        window: Whose size and frames are rendered.
        motion: Frames that windows share.
    """
    resolution = Resolution.P480 if window.pixels <= LARGEST_480P else Resolution.P720
    uri = "file:///none"
    spec = TalkingVideoSpec.model_validate(
        {
            "engine": "infinitetalk",
            "source": {"image": {"uri": uri}},
            "speech": {"speakers": [{"audio": {"uri": uri}}]},
            "prompt": PROMPT,
            "video": {"resolution": resolution},
            "render": {"preset": preset},
        }
    )
    profile = Profile.model_validate({"workerImage": "none", "stores": {"default": {"s3": {"bucket": "none"}}}})
    effective = resolve(spec, profile, profile_name="default", uid="none", revision="none")
    values = effective.render_values(spec)
    return values.model_copy(update={"window_frames": window.frames, "motion_frames": motion})
