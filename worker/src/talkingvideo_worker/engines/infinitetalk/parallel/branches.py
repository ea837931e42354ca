"""Guidance's branches, predicted by different groups of processes at the same time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch, Predictions


class SharedBranches:
    """Branches dealt out in turn.

    Every process ends each step with the same predictions, so that all calculate the same next latents, and what
    guidance remembers is the same everywhere.

    Args:
        group: One process of each branch group, this one among them.
    """

    def __init__(self, group: dist.ProcessGroup) -> None:
        self._group = group
        self._groups = dist.get_world_size(group)
        self._number = dist.get_rank(group)

    def own(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """Every n-th of them."""
        return branches[self._number :: self._groups]

    def all(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:
        """Everybody tells the predictions of their own."""
        return {
            branch: self._told(predictions.get(branch), index % self._groups, like)
            for index, branch in enumerate(branches)
        }

    def _told(self, prediction: Tensor | None, teller: int, like: Tensor) -> Tensor:
        told = torch.empty_like(like) if prediction is None else prediction.contiguous()
        dist.broadcast(told, group=self._group, group_src=teller)
        return told
