"""The streaming pipeline: windows one after the other, each from the last frames of the one before.

Nothing grows with the number of windows. What the next window needs is a few latents, so a run can continue from any
window, in another process, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.colour import match_colours, palette
from talkingvideo_worker.engines.infinitetalk.conditioning.audio import AudioSource
from talkingvideo_worker.engines.infinitetalk.sampling.denoising import Condition, Denoiser, Schedule, denoise
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import plan_steps
from talkingvideo_worker.engines.infinitetalk.settings import Settings
from talkingvideo_worker.engines.infinitetalk.transformer import (
    Array,
    AudioContext,
    AudioWanTransformer3DModel,
    as_tensor,
)


@dataclass(frozen=True)
class WindowSpan:
    """Where a window lies in the video.

    Attributes:
        index: Its number in the video, which also determines its noise.
        start: Number of its first frame in the video; its audio and its reference picture are those of this frame.
        overlap: Frames at its beginning that the previous window has shown; 0 when it starts from the reference picture.
        new: Frames that it adds to the video.
    """

    index: int
    start: int
    overlap: int
    new: int


def window_spans(
    start: int, lengths: Sequence[int], first_index: int = 0, motion: int = 9, overlap: int = 0
) -> tuple[WindowSpan, ...]:
    """The windows of a chunk.

    Args:
        start: Number of the chunk's first new frame in the video.
        lengths: New frames of each window.
        first_index: Number of the first window in the video.
        motion: Frames that a window shares with the previous one.
        overlap: Of the first window: 0, or ``motion`` for a chunk that continues the previous one.
    """
    spans, position = [], start
    for number, length in enumerate(lengths):
        shared = motion if number else overlap
        spans.append(WindowSpan(first_index + number, position - shared, shared, length))
        position += length
    return tuple(spans)


LATENT_CHANNELS = 16


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
    """The networks around the transformer, or stand-ins for them.

    They are called with float32 tensors on the model's device. Results may be tensors or numpy arrays, of any device and
    float type.

    Attributes:
        video: The VAE.
        image: The reference picture as it is rendered, (3, height, width) in -1..1, to (257, channels).
        text: A prompt to (n, channels), at most 512 tokens, not padded.
    """

    video: VideoCodec
    image: Callable[[Tensor], Any]
    text: Callable[[str], Any]


@dataclass(frozen=True)
class Material:
    """What to render from. Frames and windows are numbered over the whole video.

    Attributes:
        reference: From a frame's number to the picture it is rendered from, (3, height, width) in -1..1. A picture is not
            encoded again when the same object is returned again. A window asks for the picture of its first frame
            (``WindowSpan.start``: 0, 72, 144 … with the published windows). The callable decides which frame of a source
            video that is: the published code takes the frame of this number, whatever the source's frame rate. Frame 0
            also gives the colours.
        audio: The speakers' features.
        noise: From a window's number (``WindowSpan.index``) and a shape, (16, latent frames, height / 8, width / 8), to
            standard normal numbers; every call with the same arguments must return the same numbers.
        regions: For two speakers: masks (3, height / 8, width / 8) of them and of the background; else None.
    """

    reference: Callable[[int], Array]
    audio: AudioSource
    noise: Callable[[int, tuple[int, ...]], Array]
    regions: Array | None = None


@dataclass(frozen=True)
class RenderedWindow:
    """One window's result.

    Attributes:
        span: Where it lies in the video.
        frames: Its new frames, (3, n, height, width) in -1..1, float32.
        motion: Latents (16, m, h, w) of its last frames, from which the next window starts, float32.
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
        spans: The windows; see ``window_spans``. May be the rest of those that another call has begun.
        motion: ``RenderedWindow.motion`` of the window before ``spans``, when the first of ``spans`` has an overlap.
        on_step: Called after each step with the window's number and the step's, from 1.
        denoiser: Computes a window's latents.

    Yields:
        Each window when it is done, a ``RenderedWindow``. No reference to it is kept, so that the caller can free its
        memory for the next one.

    Raises:
        ValueError: When a window has an overlap and there is no ``motion``, or does not fit the settings.
    """
    for span in spans:
        _check_span(span, settings)
    renderer = _Renderer(transformer, encoders, settings, material, denoiser)
    for span in spans:
        if span.overlap and motion is None:
            raise ValueError(f"window {span.index} continues the previous one, but there are no motion latents")
        window = renderer.render(span, motion, partial(on_step, span.index))
        motion = window.motion
        yield window
        del window


def _check_span(span: WindowSpan, settings: Settings) -> None:
    if span.overlap not in (0, settings.motion):
        raise ValueError(f"window {span.index} shares {span.overlap} frames, but the settings say {settings.motion}")
    if span.overlap + span.new > settings.window:
        shown = span.overlap + span.new
        raise ValueError(f"window {span.index} has {shown} frames, but the settings say {settings.window}")


@dataclass(frozen=True)
class _Reference:
    """A picture as it was given and as a tensor, and its encodings."""

    given: Array
    picture: Tensor
    latents: Tensor
    features: Tensor


@dataclass
class _Renderer:
    """Renders windows and keeps what they have in common: schedule, prompts, colours, the last reference picture."""

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
        return {branch.has_prompt for branch in self.settings.guidance.branches}

    def _prompt(self, prompted: bool) -> str:  # noqa: FBT001 - a key
        return self.settings.prompt if prompted else self.settings.negative_prompt

    @torch.no_grad()  # not on the generator, which would keep each window while the next is computed
    def render(self, span: WindowSpan, motion: Array | None, on_step: Callable[[int], None]) -> RenderedWindow:
        """Render one window; from the reference picture when it has no overlap."""
        reference = self._reference_at(span.start)
        if motion is None or not span.overlap:
            motion = self._encode(reference.picture[:, None])
        noise = self._tensor(self.material.noise(span.index, (LATENT_CHANNELS, *reference.latents.shape[1:])))
        conditions = self._conditions(span, reference)
        latents = self.denoiser(self.transformer, noise, self._tensor(motion), conditions, self._schedule, on_step)
        video = self._tensor(self.encoders.video.decode(latents))
        video = match_colours(video, self._palette, self.settings.colour_correction)
        shown = span.overlap + span.new
        last = max(shown, self.settings.motion)
        next_motion = self._encode(video[:, last - self.settings.motion : last])
        return RenderedWindow(span, video[:, span.overlap : shown], next_motion, latents)

    def _conditions(self, span: WindowSpan, reference: _Reference) -> Mapping[Branch, Condition]:
        windows = self._tensor(self.material.audio.windows(span.start, self.settings.window))
        branches = self.settings.guidance.branches
        audio: dict[bool, AudioContext] = {True: self.transformer.encode_audio(windows, self.material.regions)}
        if not all(branch.has_audio for branch in branches):
            # One track of zeros, for two speakers as well.
            audio[False] = self.transformer.encode_audio(torch.zeros_like(windows[:1]))
        return {
            branch: Condition(
                reference.latents, reference.features, self._prompts[branch.has_prompt], audio[branch.has_audio]
            )
            for branch in branches
        }

    def _reference_at(self, frame: int) -> _Reference:
        """The reference picture of a frame; encoded only when it is not the last one again."""
        given = self.material.reference(frame)
        if self._reference is None or self._reference.given is not given:
            picture = self._tensor(given)
            features = self._tensor(self.encoders.image(picture))
            self._reference = _Reference(given, picture, self._reference_clip(picture), features)
        return self._reference

    def _reference_clip(self, picture: Tensor) -> Tensor:
        """The picture followed by grey frames, encoded, after a mask that marks the first latent frame: (20, …)."""
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
