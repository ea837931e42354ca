"""Render values: the parameters of an engine, resolved from the spec, its preset and the profile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from talkingvideo_api.model import Model
from talkingvideo_api.spec import Mode, Preset, Quantization


class EffectiveLora(Model):
    """A LoRA that is merged into the model's weights."""

    index: int | None = None
    """Index in spec.render.loras. Absent for a LoRA of the preset."""
    name: str | None = None
    """Name of the file on the weights volume. Absent for a LoRA that is fetched."""
    scale: float = 1.0
    """Factor by which the adaptation is scaled."""


class Sampling(Model):
    """Diffusion parameters."""

    preset: Preset
    """Preset that determines the parameters that spec does not set."""
    steps: int
    """Number of denoising steps."""
    text_guidance: float
    """Scale of classifier-free guidance on the prompt."""
    audio_guidance: float
    """Scale of classifier-free guidance on the audio."""
    shift: float
    """Shift of the flow-matching noise schedule."""
    color_correction: float
    """How strongly colours are corrected towards those of the source picture, 0..1."""
    tea_cache_threshold: float | None = None
    """Threshold of TeaCache. Absent if it is disabled."""
    apg_momentum: float | None = None
    """Momentum of adaptive projected guidance. Absent if it is disabled."""
    apg_norm_threshold: float | None = None
    """Norm threshold of adaptive projected guidance. Absent if it is disabled."""
    quantization: Quantization | None = None
    """Number format of the transformer's weights. Absent if it is chosen from the free memory."""
    resident_parameters: int | None = None
    """Number of the transformer's parameters that stay on the GPU. Absent if it is chosen from the free memory."""
    loras: Annotated[tuple[EffectiveLora, ...], Field(max_length=9)] = ()
    """LoRAs in the order in which they are applied: those of the preset, then those of spec."""


class RenderValues(Model):
    """Every value that determines an engine's frames, in addition to its inputs."""

    prompt: str
    """Text that the model is conditioned on."""
    negative_prompt: str | None = None
    """Text that guidance steers away from. Defaults to the model's own negative prompt."""
    mode: Mode
    """Streaming (the whole audio) or Clip (one window of it)."""
    window_frames: int
    """Number of frames that the model renders at once."""
    motion_frames: int
    """Number of frames that a window shares with the previous one."""
    seed: int
    """Seed of the random number generator: the drawn seed if spec.render.seed is -1."""
    sampling: Sampling | None = None
    """Absent for engines without diffusion."""
