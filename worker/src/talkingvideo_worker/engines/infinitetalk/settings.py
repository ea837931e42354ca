"""From the values of a resource to how the loop renders."""

from __future__ import annotations

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.spec import Preset
from talkingvideo_api.values import RenderValues, Sampling
from talkingvideo_worker.engines.infinitetalk.loop import Settings
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Guidance, Projection
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import (
    Timesteps,
    distilled_timesteps,
    published_timesteps,
)
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import PROJECTION_480, PROJECTION_720, StepCache

NEGATIVE_PROMPT = (
    "bright tones, overexposed, static, blurred details, subtitles, style, works, paintings, images, static, overall "
    "gray, worst quality, low quality, JPEG compression residue, ugly, incomplete, extra fingers, poorly drawn hands, "
    "poorly drawn faces, deformed, disfigured, misshapen limbs, fused fingers, still picture, messy background, three "
    "legs, many people in the background, walking backwards"
)
"""The model's usual one."""

LARGEST_480P = 650_000
"""Pixels: sizes of the 480p table have up to 448,000, those of the 720p table at least 860,000."""


def settings_of(values: RenderValues, pixels: int) -> Settings:
    """Read the render values.

    Args:
        values: In force, with those of the diffusion.
        pixels: Of the rendered size: the step cache is calibrated for two classes.
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


def require_sampling(values: RenderValues) -> Sampling:
    """The values of the diffusion.

    Raises:
        StageError: E_INTERNAL when they are absent: the operator resolves them for this engine.
    """
    if values.sampling is None:
        raise StageError(ErrorCode.INTERNAL, "The stage input has no sampling values for a diffusion engine.")
    return values.sampling


def _timesteps(sampling: Sampling) -> Timesteps:
    """The turbo preset's weights were distilled on a schedule of their own."""
    schedule = distilled_timesteps if sampling.preset is Preset.TURBO else published_timesteps
    return schedule(sampling.steps, sampling.shift)


def _projection(sampling: Sampling) -> Projection | None:
    momentum, threshold = sampling.apg_momentum, sampling.apg_norm_threshold
    return None if momentum is None or threshold is None else Projection(momentum, threshold)


def _step_cache(sampling: Sampling, pixels: int) -> StepCache | None:
    threshold = sampling.tea_cache_threshold
    calibration = PROJECTION_480 if pixels <= LARGEST_480P else PROJECTION_720
    return None if threshold is None else StepCache(threshold, calibration)
