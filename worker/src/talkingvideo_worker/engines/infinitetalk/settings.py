"""From the values of a resource to how the loop renders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from talkingvideo_api.spec import Preset
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


def settings_of(parameters: Mapping[str, Any], pixels: int) -> Settings:
    """Read the effective values.

    Args:
        parameters: By their names in ``spec`` and ``status.effective``.
        pixels: Of the rendered size: the step cache is calibrated for two classes.
    """
    negative = parameters.get("negativePrompt")
    return Settings(
        timesteps=_timesteps(parameters),
        guidance=Guidance(parameters["textGuidance"], parameters["audioGuidance"], _projection(parameters)),
        prompt=parameters["prompt"],
        negative_prompt=NEGATIVE_PROMPT if negative is None else negative,
        step_cache=_step_cache(parameters, pixels),
        colour_correction=parameters["colorCorrection"],
        window=parameters["windowFrames"],
        motion=parameters["motionFrames"],
    )


def _timesteps(parameters: Mapping[str, Any]) -> Timesteps:
    """The turbo preset's weights were distilled on a schedule of their own."""
    schedule = distilled_timesteps if parameters["preset"] == Preset.TURBO else published_timesteps
    return schedule(parameters["steps"], parameters["shift"])


def _projection(parameters: Mapping[str, Any]) -> Projection | None:
    momentum, threshold = parameters.get("apgMomentum"), parameters.get("apgNormThreshold")
    return None if momentum is None or threshold is None else Projection(momentum, threshold)


def _step_cache(parameters: Mapping[str, Any], pixels: int) -> StepCache | None:
    threshold = parameters.get("teaCacheThreshold")
    calibration = PROJECTION_480 if pixels <= LARGEST_480P else PROJECTION_720
    return None if threshold is None else StepCache(threshold, calibration)
