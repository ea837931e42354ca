"""Render values for tests, as a resource that names nothing gets them."""

from __future__ import annotations

from typing import Any

from talkingvideo_api.spec import Mode, Preset
from talkingvideo_api.values import RenderValues, Sampling


def sampling_values(**changes: Any) -> Sampling:
    """Values of a short diffusion."""
    values = Sampling(
        preset=Preset.QUALITY, steps=2, text_guidance=1.0, audio_guidance=2.0, shift=3.0, color_correction=1.0
    )
    return values.model_copy(update=changes)


def render_values(**changes: Any) -> RenderValues:
    """Values of an engine without diffusion, unless ``sampling`` is given."""
    values = RenderValues(prompt="speaks", mode=Mode.STREAMING, window_frames=81, motion_frames=9, seed=42)
    return values.model_copy(update=changes)
