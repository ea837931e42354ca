"""The streaming loop: windows one after the other, each from the last frames of the one before.

Nothing grows with the number of windows. What the next window needs is a few latents, so that a run can go on from any
window, in another process, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.arrays import Array, as_tensor
from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette
from talkingvideo_worker.engines.infinitetalk.conditioning.hearing import Hearing
from talkingvideo_worker.engines.infinitetalk.model.audio_attention import AudioContext
from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, Schedule, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch, Guidance
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import Timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import StepCache, plan_steps
from talkingvideo_worker.engines.infinitetalk.spans import WindowSpan

LATENT_CHANNELS = 16

Denoiser = Callable[
    [AudioWanTransformer3DModel, Tensor, Tensor, Mapping[Branch, Condition], Schedule, Callable[[int], None]], Tensor
]
"""``denoise``, or what does the same with the help of other GPUs."""


class VideoCodec(Protocol):
    """The VAE. Latents are normalised: the transformer takes them as they are."""

    def encode(self, video: Tensor) -> Tensor:
        """(3, 1 + 4n, height, width) in -1..1 to (16, 1 + n, height / 8, width / 8)."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """(16, 1 + n, h, w) to (3, 1 + 4n, 8h, 8w) in -1..1."""
        ...


@dataclass(frozen=True)
class Encoders:
    """The networks around the transformer, or what stands in for them.

    They are given float32 tensors on the model's device. Results may be tensors or numpy arrays, of any device and float
    type.

    Attributes:
        video: The VAE.
        image: The reference picture as it is rendered, (3, height, width) in -1..1, to (257, channels).
        text: A prompt to (n, channels), at most 512 tokens, not padded.
    """

    video: VideoCodec
    image: Callable[[Tensor], Any]
    text: Callable[[str], Any]


@dataclass(frozen=True)
class Settings:
    """How to render.

    Attributes:
        timesteps: The schedule, 0 last.
        guidance: Scales, and whether they are projected.
        prompt: What the video shows.
        negative_prompt: What it does not.
        step_cache: Which steps may be skipped; None runs all.
        colour_correction: 0 (off) to 1.
        window: Frames of a window, 4n + 1.
        motion: Frames that a window shares with the one before, 4n + 1.
    """

    timesteps: Timesteps
    guidance: Guidance
    prompt: str
    negative_prompt: str
    step_cache: StepCache | None = None
    colour_correction: float = 1.0
    window: int = 81
    motion: int = 9


@dataclass(frozen=True)
class Material:
    """What to render from. Frames and windows are numbered over the whole video.

    Attributes:
        reference: A frame's number to the picture to render it from, (3, height, width) in -1..1. The same object again
            is not encoded again. A window asks for the picture of its first frame (``WindowSpan.start``: 0, 72, 144 … in
            a run of the published windows); which frame of a source video that is, is the callable's to decide: the
            published code takes the frame of this number, whatever the source's rate. Frame 0 also gives the colours.
        hearing: The speakers' features.
        noise: A window's number (``WindowSpan.index``) and a shape, (16, latent frames, height / 8, width / 8), to
            standard normal numbers, the same ones whenever asked.
        regions: For two speakers: masks (3, height / 8, width / 8) of them and of the background; else None.
    """

    reference: Callable[[int], Array]
    hearing: Hearing
    noise: Callable[[int, tuple[int, ...]], Array]
    regions: Array | None = None


@dataclass(frozen=True)
class RenderedWindow:
    """One window's result.

    Attributes:
        span: Where it lies.
        frames: Its new frames, (3, n, height, width) in -1..1, float32.
        motion: Latents (16, m, h, w) that the next window starts from, float32.
        latents: Of the whole window, (16, frames, h, w), float32.
    """

    span: WindowSpan
    frames: Tensor
    motion: Tensor
    latents: Tensor


def _ignore(_window: int, _step: int) -> None:
    pass


def render_windows(
    transformer: AudioWanTransformer3DModel,
    encoders: Encoders,
    settings: Settings,
    material: Material,
    spans: Sequence[WindowSpan],
    motion: Array | None = None,
    on_step: Callable[[int, int], None] = _ignore,
    denoiser: Denoiser = denoise,
) -> Iterator[RenderedWindow]:
    """Render windows in order.

    Args:
        transformer: The model.
        encoders: The networks around it.
        settings: How to render.
        material: What to render from.
        spans: The windows; see ``window_spans``. A part of them goes on where another call stopped.
        motion: What the window before the first of ``spans`` left (its ``RenderedWindow.motion``), when that has a lead.
        on_step: Called after each step with the window's number and the step's, from 1.
        denoiser: Makes a window's latents.

    Yields:
        Each window when it is done, a ``RenderedWindow``. It is not kept: who drops it too has its memory for the next one.

    Raises:
        ValueError: When a window has a lead and there is no ``motion``, or does not fit the settings.
    """
    for span in spans:
        _expect_fitting(span, settings)
    renderer = _Renderer(transformer, encoders, settings, material, denoiser)
    for span in spans:
        if span.overlap and motion is None:
            raise ValueError(f"window {span.index} goes on from the one before, which left nothing")
        window = renderer.render(span, motion, partial(on_step, span.index))
        motion = window.motion
        yield window
        del window


def _expect_fitting(span: WindowSpan, settings: Settings) -> None:
    if span.overlap not in (0, settings.motion):
        raise ValueError(f"window {span.index} shares {span.overlap} frames, and the settings say {settings.motion}")
    if span.overlap + span.new > settings.window:
        shown = span.overlap + span.new
        raise ValueError(f"window {span.index} has {shown} frames, and the settings say {settings.window}")


@dataclass(frozen=True)
class _Reference:
    """A picture as it was given and as a tensor, and what the model sees of it."""

    given: Array
    picture: Tensor
    latents: Tensor
    features: Tensor


@dataclass
class _Renderer:
    """Renders windows, and keeps what they have in common."""

    transformer: AudioWanTransformer3DModel
    encoders: Encoders
    settings: Settings
    material: Material
    denoiser: Denoiser
    _reference: _Reference | None = field(default=None, init=False)

    @torch.no_grad()
    def __post_init__(self) -> None:
        settings = self.settings
        computed = plan_steps(self.transformer, settings.timesteps, settings.step_cache)
        self._schedule = Schedule(settings.timesteps, computed, settings.guidance)
        prompts = {prompted: self._tensor(self.encoders.text(self._prompt(prompted))) for prompted in self._prompted}
        self._prompts = prompts
        self._palette = palette(self._tensor(self.material.reference(0)))

    @property
    def _prompted(self) -> set[bool]:
        return {branch.is_prompted for branch in self.settings.guidance.branches}

    def _prompt(self, prompted: bool) -> str:  # noqa: FBT001 - a key
        return self.settings.prompt if prompted else self.settings.negative_prompt

    @torch.no_grad()  # not around the generator: that would hold each window while the next is made
    def render(self, span: WindowSpan, motion: Array | None, on_step: Callable[[int], None]) -> RenderedWindow:
        """Render one window; from the reference picture when it has no lead."""
        reference = self._look(span.start)
        if motion is None or not span.overlap:
            motion = self._encode(reference.picture[:, None])
        noise = self._tensor(self.material.noise(span.index, (LATENT_CHANNELS, *reference.latents.shape[1:])))
        conditions = self._conditions(span, reference)
        latents = self.denoiser(self.transformer, noise, self._tensor(motion), conditions, self._schedule, on_step)
        video = self._tensor(self.encoders.video.decode(latents))
        video = match_colours(video, self._palette, self.settings.colour_correction)
        shown = span.overlap + span.new
        last = max(shown, self.settings.motion)
        following = self._encode(video[:, last - self.settings.motion : last])
        return RenderedWindow(span, video[:, span.overlap : shown], following, latents)

    def _conditions(self, span: WindowSpan, reference: _Reference) -> Mapping[Branch, Condition]:
        windows = self._tensor(self.material.hearing.windows(span.start, self.settings.window))
        branches = self.settings.guidance.branches
        heard: dict[bool, AudioContext] = {True: self.transformer.hear(windows, self.material.regions)}
        if not all(branch.is_heard for branch in branches):
            # One track of zeros, also for two speakers.
            heard[False] = self.transformer.hear(torch.zeros_like(windows[:1]))
        return {
            branch: Condition(
                reference.latents, reference.features, self._prompts[branch.is_prompted], heard[branch.is_heard]
            )
            for branch in branches
        }

    def _look(self, frame: int) -> _Reference:
        """What is conditioned on the picture of a frame, encoded unless it is the last one again."""
        given = self.material.reference(frame)
        if self._reference is None or self._reference.given is not given:
            picture = self._tensor(given)
            features = self._tensor(self.encoders.image(picture))
            self._reference = _Reference(given, picture, self._reference_clip(picture), features)
        return self._reference

    def _reference_clip(self, picture: Tensor) -> Tensor:
        """The picture and grey frames behind it, encoded, below a mask that marks the first latent frame: (20, …)."""
        clip = picture.new_zeros(3, self.settings.window, *picture.shape[1:])
        clip[:, 0] = picture
        latents = self._encode(clip)
        mask = torch.zeros_like(latents[:4])
        mask[:, 0] = 1
        return torch.cat([mask, latents])

    def _encode(self, video: Tensor) -> Tensor:
        return self._tensor(self.encoders.video.encode(video))

    def _tensor(self, values: Array) -> Tensor:
        """Values as float32 on the model's device."""
        return as_tensor(values).to(self.transformer.scale_shift_table.device, torch.float32)
