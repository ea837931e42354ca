"""How many GPUs share the branches of guidance, and how many the tokens of each branch."""

from __future__ import annotations

import math
from dataclasses import dataclass

PIXELS_PER_TOKEN = 16 * 16
"""Of a frame: the VAE makes 8 x 8 pixels one latent, the model 2 x 2 latents one token."""


@dataclass(frozen=True)
class Layout:
    """A grid of processes. Neighbouring ranks share tokens, which is what they exchange most for.

    Attributes:
        branch_groups: Groups that predict different branches; a group predicts one branch at a time.
        token_ranks: Processes of a group, each with its part of the tokens.
    """

    branch_groups: int
    token_ranks: int

    @property
    def ranks(self) -> int:
        """Processes."""
        return self.branch_groups * self.token_ranks

    def step_cost(self, branches: int) -> float:
        """Time of a step in predictions by one GPU, without what exchanging costs."""
        return math.ceil(branches / self.branch_groups) / self.token_ranks


def plan_parallel(gpus: int, branches: int, heads: int, spatial_tokens: int) -> Layout:
    """Share out the work of a step so that it takes the least time.

    Of two layouts that take as long, the one with more branch groups exchanges less; and GPUs that would shorten
    nothing are left out.

    Args:
        gpus: That may be used.
        branches: Predictions per step.
        heads: Attention heads, which are exchanged whole.
        spatial_tokens: Tokens of one latent frame, of which every process takes as many.
    """
    layouts = (
        Layout(groups, ranks)
        for groups in range(1, min(gpus, branches) + 1)
        for ranks in range(1, gpus // groups + 1)
        if heads % ranks == 0 and spatial_tokens % ranks == 0
    )
    return min(layouts, key=lambda layout: (layout.step_cost(branches), layout.ranks, -layout.branch_groups))


def idle_gpus(gpus: int, layout: Layout) -> tuple[str, ...]:
    """What to tell who asked for more GPUs than a step can be divided among."""
    idle = gpus - layout.ranks
    if not idle:
        return ()
    return (
        f"spec.render.gpusPerChunk: {idle} of {gpus} GPUs had nothing to do. A step of this video divides among "
        f"{layout.ranks}; 1, 2, 4 and 8 GPUs always have work.",
    )
