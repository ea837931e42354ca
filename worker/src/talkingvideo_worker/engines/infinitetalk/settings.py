"""How to render: from the values of a resource. The only place in this engine that reads them."""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.spec import Preset
from talkingvideo_api.values import RenderValues, Sampling
from talkingvideo_worker.engines.base import RenderInput
from talkingvideo_worker.engines.infinitetalk.memory.modes import MemoryRequest
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import (
    Timesteps,
    distilled_timesteps,
    published_timesteps,
)
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import (
    PROJECTION_480,
    PROJECTION_720,
    StepCache,
)

NEGATIVE_PROMPT = (
    "bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
"""Used when the resource has none; the published default."""

LARGEST_480P = 650_000
"""Pixels: sizes of the 480p table have up to 448,000, those of the 720p table at least 860,000."""


@dataclass(frozen=True)
class Settings:
    """How to render.

    Attributes:
        timesteps: The schedule, 0 last.
        guidance: Scales, and whether they are projected.
        prompt: What the video shows.
        negative_prompt: What it must not show.
        step_cache: When steps may be skipped; None runs all.
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


def settings_for(render_input: RenderInput) -> Settings:
    """How a video is rendered."""
    return settings_of(render_input.values, render_input.portrait.width * render_input.portrait.height)


def settings_of(values: RenderValues, pixels: int) -> Settings:
    """How render values are rendered.

    Args:
        values: The effective values, with diffusion parameters.
        pixels: Of a rendered frame: the step cache is calibrated for two classes of sizes.
    """
    sampling = require_sampling(values)
    return Settings(
        timesteps=_timesteps(sampling),
        guidance=Guidance(sampling.text_guidance, sampling.audio_guidance, _projection(sampling)),
        prompt=values.prompt,
        negative_prompt=NEGATIVE_PROMPT if values.negative_prompt is None else values.negative_prompt,
        step_cache=_step_cache(sampling, pixels),
        colour_correction=sampling.color_correction,
        window=values.window_frames,
        motion=values.motion_frames,
    )


def memory_request(values: RenderValues) -> MemoryRequest:
    """What a resource asks of the GPU's memory."""
    sampling = require_sampling(values)
    return MemoryRequest(sampling.quantization, sampling.resident_parameters)


def lora_names(values: RenderValues) -> tuple[str, ...]:
    """Names of the LoRAs on the weights volume."""
    return tuple(lora.name for lora in require_sampling(values).loras if lora.name)


def require_sampling(values: RenderValues) -> Sampling:
    """The diffusion parameters.

    Raises:
        StageError: E_INTERNAL when they are absent: the operator resolves them for this engine.
    """
    if values.sampling is None:
        raise StageError(ErrorCode.INTERNAL, "The stage input has no sampling values for a diffusion engine.")
    return values.sampling


def _timesteps(sampling: Sampling) -> Timesteps:
    """The turbo preset's LoRA was distilled with a schedule of its own."""
    schedule = distilled_timesteps if sampling.preset is Preset.TURBO else published_timesteps
    return schedule(sampling.steps, sampling.shift)


def _projection(sampling: Sampling) -> Projection | None:
    momentum, threshold = sampling.apg_momentum, sampling.apg_norm_threshold
    return None if momentum is None or threshold is None else Projection(momentum, threshold)


def _step_cache(sampling: Sampling, pixels: int) -> StepCache | None:
    threshold = sampling.tea_cache_threshold
    calibration = PROJECTION_480 if pixels <= LARGEST_480P else PROJECTION_720
    return None if threshold is None else StepCache(threshold, calibration)
