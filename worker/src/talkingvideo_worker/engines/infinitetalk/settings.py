"""How to render: from the values of a resource. The only place in this engine that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from talkingvideo_api.spec import Preset, Quantization
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
    return settings_of(render_input.parameters, render_input.portrait.width * render_input.portrait.height)


def settings_of(parameters: Mapping[str, Any], pixels: int) -> Settings:
    """How effective values are rendered.

    Args:
        parameters: By their names in ``spec`` and ``status.effective``.
        pixels: Of a rendered frame: the step cache is calibrated for two classes of sizes.
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
    """The turbo preset's LoRA was distilled with a schedule of its own."""
    schedule = distilled_timesteps if parameters["preset"] == Preset.TURBO else published_timesteps
    return schedule(parameters["steps"], parameters["shift"])


def _projection(parameters: Mapping[str, Any]) -> Projection | None:
    momentum, threshold = parameters.get("apgMomentum"), parameters.get("apgNormThreshold")
    return None if momentum is None or threshold is None else Projection(momentum, threshold)


def _step_cache(parameters: Mapping[str, Any], pixels: int) -> StepCache | None:
    threshold = parameters.get("teaCacheThreshold")
    calibration = PROJECTION_480 if pixels <= LARGEST_480P else PROJECTION_720
    return None if threshold is None else StepCache(threshold, calibration)


def memory_request(parameters: Mapping[str, Any]) -> MemoryRequest:
    """What effective values demand of the memory mode."""
    precision = parameters.get("quantization")
    return MemoryRequest(None if precision is None else Quantization(precision), parameters.get("residentParameters"))


def lora_names(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the LoRAs that are in the folder of weights; those with a URI have digests of their own."""
    return tuple(name for lora in parameters.get("loras", ()) if (name := lora.get("name")))
