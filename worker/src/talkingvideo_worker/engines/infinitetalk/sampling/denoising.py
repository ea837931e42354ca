"""One window: from noise to latents. A step is one prediction per branch of guidance, combined, and Euler's method."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own convention
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.sampling.guidance import (
    UNSHARDED_BRANCHES,
    Branch,
    BranchSharding,
    Guidance,
)
from talkingvideo_worker.engines.infinitetalk.sampling.schedule import TRAINED_STEPS, Timesteps
from talkingvideo_worker.engines.infinitetalk.sampling.step_cache import BlockResidual
from talkingvideo_worker.engines.infinitetalk.transformer import (
    TEXT_TOKENS,
    Array,
    AudioContext,
    AudioWanTransformer3DModel,
    Blocks,
    as_tensor,
)


@dataclass(frozen=True)
class WindowNoise:
    """Standard normal noise, drawn on the CPU so that it is the same on every device.

    Each window's is independent of what was drawn for the others, so a window can be rendered again alone.

    Attributes:
        seed: Of the video.
    """

    seed: int

    def __call__(self, window: int, shape: tuple[int, ...]) -> Tensor:
        """The window's noise."""
        digest = hashlib.sha256(f"{self.seed}/{window}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "big", signed=True))
        return torch.randn(shape, generator=generator)


@dataclass(frozen=True)
class Condition:
    """What a branch's predictions are conditioned on.

    Attributes:
        reference: (20, frames, h, w): the mask's 4 channels, then the 16 of the encoded reference clip.
        image: (257, channels): features of the reference picture.
        text: (n, channels), at most 512, not padded: features of the prompt or of the negative prompt.
        audio: The result of ``transformer.encode_audio`` for one speaker's windows, for two speakers' with their
            regions, or, in the branches without audio, for one speaker's windows of zeros.
    """

    reference: Array
    image: Array
    text: Array
    audio: AudioContext


@dataclass(frozen=True)
class Schedule:
    """The steps of a window.

    Attributes:
        timesteps: Descending, 0 last.
        computed: For each step whether the model's blocks run.
        guidance: How the branches' predictions become one.
    """

    timesteps: Timesteps
    computed: tuple[bool, ...]
    guidance: Guidance


@torch.no_grad()
def predict_velocity(
    transformer: AudioWanTransformer3DModel,
    latents: Array,
    timestep: float,
    condition: Condition,
    around_blocks: Callable[[Tensor, Blocks], Tensor] | None = None,
) -> Tensor:
    """Call the model once.

    Args:
        transformer: The model.
        latents: (16, frames, h, w), noisy; height and width even.
        timestep: 0..1000, not rounded.
        condition: The branch's.
        around_blocks: See ``AudioWanTransformer3DModel.forward``.

    Returns:
        Noise minus data, (16, frames, h, w), float32: the model's raw output, on its device.

    Raises:
        ValueError: For more than 512 tokens of text, odd sizes, or audio or regions of another size.
    """
    weight = transformer.patch_embedding.weight
    noisy, reference, image, text = (
        as_tensor(values).to(weight.device, weight.dtype)
        for values in (latents, condition.reference, condition.image, condition.text)
    )
    if len(text) > TEXT_TOKENS:
        raise ValueError(f"{len(text)} tokens of text: the model takes {TEXT_TOKENS} at most")
    prediction = transformer(
        torch.cat([noisy, reference])[None],
        torch.full((1,), torch.as_tensor(timestep).item(), dtype=torch.float32, device=weight.device),
        F.pad(text, (0, 0, 0, TEXT_TOKENS - len(text)))[None],
        image[None],
        return_dict=False,
        audio=condition.audio,
        around_blocks=around_blocks,
    )
    velocity: Tensor = prediction[0][0].float()
    return velocity


@torch.no_grad()
def denoise(
    transformer: AudioWanTransformer3DModel,
    noise: Tensor,
    motion: Tensor,
    conditions: Mapping[Branch, Condition],
    schedule: Schedule,
    on_step: Callable[[int], None],
    sharding: BranchSharding = UNSHARDED_BRANCHES,
) -> Tensor:
    """Integrate from noise to data with Euler's method, in float32.

    The first latent frames are those of the previous window, kept clean in every step: they continue the movement, while
    the reference determines the looks.

    Args:
        transformer: The model.
        noise: (16, frames, h, w).
        motion: (16, m, h, w), clean.
        conditions: Of every branch that guidance asks for.
        schedule: The steps.
        on_step: Called after each step with its number from 1.
        sharding: Which branches this process predicts.

    Returns:
        (16, frames, h, w), float32.
    """
    branches = schedule.guidance.branches
    latents, overlap = noise.clone(), motion.shape[1]
    latents[:, :overlap] = motion
    combine = schedule.guidance.combiner()
    residuals = {branch: BlockResidual() for branch in sharding.shard(branches)}
    skips_steps = not all(schedule.computed)
    steps = zip(schedule.timesteps, schedule.timesteps[1:], schedule.computed, strict=False)
    for number, (timestep, next_timestep, computed) in enumerate(steps, 1):
        predictions = {}
        for branch, residual in residuals.items():
            around = (residual.compute if computed else residual.skip) if skips_steps else None
            predictions[branch] = predict_velocity(transformer, latents, timestep, conditions[branch], around)
        velocity = combine(sharding.gather(predictions, branches, latents))
        latents = latents - velocity * ((timestep - next_timestep) / TRAINED_STEPS)
        latents[:, :overlap] = motion
        on_step(number)
    return latents


Denoiser = Callable[
    [AudioWanTransformer3DModel, Tensor, Tensor, Mapping[Branch, Condition], Schedule, Callable[[int], None]], Tensor
]
"""``denoise``, or the same computed together with other GPUs."""
