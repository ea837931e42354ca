"""Render values: what an engine renders by, as numbers, resolved from the spec, its preset and the profile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from talkingvideo_api.model import Model
from talkingvideo_api.spec import Mode, Preset, Quantization


class LoraInForce(Model):
    """One LoRA of the list that is merged into the model's weights."""

    index: int | None = None
    """Index in spec.render.loras, which has its address; absent: the preset's."""
    name: str | None = None
    """Name of its file on the weights volume; absent: it is fetched."""
    scale: float = 1.0
    """Factor of its weights."""


class Sampling(Model):
    """Values of the diffusion, of engines that have one."""

    preset: Preset
    """The preset that gave what was not set."""
    steps: int
    """Denoising steps."""
    text_guidance: float
    """Classifier-free guidance of the prompt."""
    audio_guidance: float
    """Classifier-free guidance of the audio."""
    shift: float
    """Shift of the flow-matching schedule."""
    color_correction: float
    """How closely colours follow those of the source picture, 0..1."""
    tea_cache_threshold: float | None = None
    """Absent: off."""
    apg_momentum: float | None = None
    """Absent: off."""
    apg_norm_threshold: float | None = None
    """Absent: off."""
    quantization: Quantization | None = None
    """Absent: chosen by the GPU's memory."""
    resident_parameters: int | None = None
    """Absent: chosen by the GPU's memory."""
    loras: Annotated[tuple[LoraInForce, ...], Field(max_length=9)] = ()
    """In the order in which they are applied: the preset's first, then the user's."""


class RenderValues(Model):
    """Every value that determines an engine's frames, beside its inputs."""

    prompt: str
    """Text that the model is conditioned on."""
    negative_prompt: str | None = None
    """Text that guidance steers away from; absent: the model's own."""
    mode: Mode
    """Streaming (the whole audio) or Clip (one window of it)."""
    window_frames: int
    """Frames of a window."""
    motion_frames: int
    """Frames that a window shares with the one before it."""
    seed: int
    """Seed of the random numbers, drawn already where -1 was given."""
    sampling: Sampling | None = None
    """Absent for engines without diffusion."""
