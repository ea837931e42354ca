"""How many groups of GPUs divide the branches of guidance, and how many GPUs divide the tokens of each branch."""

from __future__ import annotations

import math
from dataclasses import dataclass

PIXELS_PER_TOKEN = 16 * 16
"""Of a frame: the VAE turns 8 x 8 pixels into one latent, the model 2 x 2 latents into one token."""


@dataclass(frozen=True)
class ParallelConfig:
    """A two-dimensional mesh of processes. Neighbouring ranks divide tokens, which takes the most communication.

    Attributes:
        branch_groups: Number of groups that predict different branches; a group predicts one branch at a time.
        token_ranks: Number of processes in a group, each with its shard of the tokens.
    """

    branch_groups: int
    token_ranks: int

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self.branch_groups * self.token_ranks

    def step_cost(self, branches: int) -> float:
        """Duration of a step, as a multiple of one GPU's prediction, without communication."""
        return math.ceil(branches / self.branch_groups) / self.token_ranks


def plan_parallel(gpus: int, branches: int, heads: int, spatial_tokens: int) -> ParallelConfig:
    """Divide the work of a step so that it takes the least time.

    Of two configurations with the same duration, the one with more branch groups communicates less. GPUs that would not
    shorten a step are not used.

    Args:
        gpus: Number of GPUs that may be used.
        branches: Predictions per step.
        heads: Attention heads, which are exchanged whole.
        spatial_tokens: Tokens of one latent frame, which are divided evenly.
    """
    configs = (
        ParallelConfig(groups, ranks)
        for groups in range(1, min(gpus, branches) + 1)
        for ranks in range(1, gpus // groups + 1)
        if heads % ranks == 0 and spatial_tokens % ranks == 0
    )
    return min(configs, key=lambda config: (config.step_cost(branches), config.world_size, -config.branch_groups))


def idle_gpu_warnings(gpus: int, config: ParallelConfig) -> tuple[str, ...]:
    """A warning for users who request more GPUs than a step can be divided among."""
    idle = gpus - config.world_size
    if not idle:
        return ()
    return (
        f"spec.render.gpusPerChunk: {idle} of {gpus} GPUs had nothing to do. A step of this video divides among "
        f"{config.world_size}; 1, 2, 4 and 8 GPUs always have work.",
    )
