"""Which of guidance's branches this process predicts: all of them, unless several GPUs share a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from talkingvideo_worker.engines.infinitetalk.sampling.guidance import Branch, Predictions


class BranchShare(Protocol):
    """How the branches of a step are shared out."""

    def own(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """Those that this process predicts."""
        ...

    def all(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:
        """Predictions of all branches, from those of its own; every process gets the same ones.

        Args:
            predictions: Its own.
            branches: All of them, in the order in which they were shared out.
            like: A tensor of a prediction's shape, type and device.
        """
        ...


class AllBranches:
    """No sharing."""

    def own(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """All of them."""
        return branches

    def all(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:  # noqa: ARG002
        """The same."""
        return predictions


ALL_BRANCHES = AllBranches()
