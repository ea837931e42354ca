"""TeaCache: skips the blocks of steps whose time modulation has hardly changed since the last step that ran them.

Liu et al., "Timestep Embedding Tells: It's Time to Cache for Video Diffusion Model", 2024 (arXiv 2411.19108). The
decision depends only on the timesteps and the weights of the time embedding, so it is made once, before the first step,
for all branches and windows: no step waits for the GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.sampling.schedule import Timesteps
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel, Blocks


@dataclass(frozen=True)
class Calibration:
    """How much the output changes when the time modulation does, fitted for one model.

    Attributes:
        polynomial: Coefficients, highest power first, over the relative change.
        first: Steps at the beginning that always run.
        last: Steps at the end that always run.
        on_projection: Whether the change is measured on the sixfold projection, rather than on the embedding.
    """

    polynomial: tuple[float, ...]
    first: int
    last: int
    on_projection: bool


PROJECTION_480 = Calibration((2.57151496e5, -3.54229917e4, 1.40286849e3, -1.35890334e1, 1.32517977e-1), 5, 0, True)
PROJECTION_720 = Calibration((8.1070546e3, 2.13393892e3, -3.72934672e2, 1.66203073e1, -4.17769401e-2), 5, 0, True)
EMBEDDING_480 = Calibration((-302.33167, 223.948934, -52.546397, 5.8734844, -0.201973289), 1, 1, False)
EMBEDDING_720 = Calibration((-114.36346466, 65.26524496, -18.82220707, 4.91518089, -0.23412683), 1, 1, False)


@dataclass(frozen=True)
class StepCache:
    """Settings.

    Attributes:
        threshold: Accumulated change at which the blocks run again; 0.2 to 0.5 is useful.
        calibration: Of the resolution class.
    """

    threshold: float
    calibration: Calibration = PROJECTION_480


def relative_changes(embeddings: Sequence[Tensor]) -> list[float]:
    """Mean absolute change of each embedding after the first, relative to the mean size of the one before."""
    return [float((now - before).abs().mean() / before.abs().mean()) for before, now in pairwise(embeddings)]


def computed_steps(changes: Sequence[float], cache: StepCache) -> tuple[bool, ...]:
    """Decide which steps run.

    Args:
        changes: Of each step to the one before; one fewer than there are steps.
        cache: The settings.

    Returns:
        One answer per step.
    """
    steps, rescale = len(changes) + 1, np.poly1d(cache.calibration.polynomial)
    computed, accumulated = [True], 0.0
    for step in range(1, steps):
        forced = step < cache.calibration.first or step >= steps - cache.calibration.last
        accumulated = 0.0 if forced else accumulated + float(rescale(changes[step - 1]))
        runs = forced or accumulated >= cache.threshold
        accumulated = 0.0 if runs else accumulated
        computed.append(runs)
    return tuple(computed)


@torch.no_grad()
def plan_steps(
    transformer: AudioWanTransformer3DModel, timesteps: Timesteps, cache: StepCache | None
) -> tuple[bool, ...]:
    """Decide which steps run the model's blocks; without a cache all do.

    Args:
        transformer: The model, for its time embedding.
        timesteps: The schedule, 0 last.
        cache: The settings, or None.
    """
    if cache is None:
        return (True,) * (len(timesteps) - 1)
    device = transformer.scale_shift_table.device
    # One at a time, as the steps compute them: a batch would be summed in another order.
    modulations = [
        transformer.time_modulation(torch.tensor([timestep], device=device))[cache.calibration.on_projection]
        for timestep in timesteps[:-1]
    ]
    return computed_steps(relative_changes([modulation.float() for modulation in modulations]), cache)


@dataclass
class BlockResidual:
    """What the blocks added to the tokens in the last step that ran them, for one branch of one window."""

    value: Tensor | None = None

    def compute(self, tokens: Tensor, blocks: Blocks) -> Tensor:
        """Run the blocks, and keep what they add."""
        self.value = None  # frees it before the blocks need memory
        out = blocks(tokens)
        self.value = out - tokens
        return out

    def skip(self, tokens: Tensor, blocks: Blocks) -> Tensor:
        """Add what was kept, instead of running the blocks."""
        return self.compute(tokens, blocks) if self.value is None else tokens + self.value
