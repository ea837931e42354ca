"""Classifier-free guidance by text and by audio, plain or by adaptive projection.

Adaptive projected guidance: Sadat et al., "Eliminating Oversaturation and Artifacts of High Guidance Scales in
Diffusion Models", 2024 (arXiv 2410.02416), here once for each of the two directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from torch import Tensor


class Branch(StrEnum):
    """Predictions that guidance compares, named by the condition that they lack."""

    COND = "cond"
    DROP_TEXT = "drop_text"
    UNCOND = "uncond"
    DROP_AUDIO = "drop_audio"

    @property
    def has_prompt(self) -> bool:
        """Whether it is conditioned on the prompt, rather than on the negative prompt."""
        return self in (Branch.COND, Branch.DROP_AUDIO)

    @property
    def has_audio(self) -> bool:
        """Whether it is conditioned on the speakers' audio, rather than on one track of zeros."""
        return self in (Branch.COND, Branch.DROP_TEXT)


Predictions = Mapping[Branch, Tensor]


@dataclass(frozen=True)
class Projection:
    """Settings of adaptive projected guidance.

    Attributes:
        momentum: Factor with which the previous direction is added to a direction; negative pushes away from it.
        norm_threshold: Largest norm of a direction (over all of its values).
        eta: Factor of the part that is parallel to the prediction.
    """

    momentum: float = -0.75
    norm_threshold: float = 55.0
    eta: float = 0.0


@dataclass(frozen=True)
class Guidance:
    """How far to move away from the predictions without text and without audio.

    Attributes:
        text: Scale for the text; 1 is off.
        audio: Scale for the audio; 1 is off.
        projection: Adaptive projection, or None for plain guidance.
    """

    text: float
    audio: float
    projection: Projection | None = None

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The predictions that are needed; each costs a call of the model.

        The published code computes all of them, also where one cancels out: the one without audio when audio's scale is 1.
        """
        by_text, by_audio = not _is_one(self.text), not _is_one(self.audio)
        if by_text:
            return (Branch.COND, Branch.DROP_TEXT, Branch.UNCOND) if by_audio else (Branch.COND, Branch.DROP_TEXT)
        return (Branch.COND, Branch.DROP_AUDIO) if by_audio else (Branch.COND,)

    def combiner(self) -> Combiner:
        """A fresh combiner, for one window."""
        return PlainCombiner(self) if self.projection is None else ProjectedCombiner(self, self.projection)


@dataclass
class PlainCombiner:
    """Adds the scaled differences."""

    guidance: Guidance

    def __call__(self, predictions: Predictions) -> Tensor:
        """Combine one step's predictions, all of one shape."""
        cond = predictions[Branch.COND]
        if Branch.DROP_AUDIO in predictions:
            drop_audio = predictions[Branch.DROP_AUDIO]
            return drop_audio + self.guidance.audio * (cond - drop_audio)
        if Branch.DROP_TEXT not in predictions:
            return cond
        drop_text = predictions[Branch.DROP_TEXT]
        if Branch.UNCOND not in predictions:
            return drop_text + self.guidance.text * (cond - drop_text)
        uncond = predictions[Branch.UNCOND]
        return uncond + self.guidance.text * (cond - drop_text) + self.guidance.audio * (drop_text - uncond)


@dataclass
class ProjectedCombiner:
    """Adds the part of each direction that is orthogonal to the prediction; keeps the directions of a window's steps."""

    guidance: Guidance
    projection: Projection
    _past: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self, predictions: Predictions) -> Tensor:
        """Combine one step's predictions, all of one shape; steps in order."""
        cond = predictions[Branch.COND]
        directions = {}
        if Branch.DROP_TEXT in predictions:
            directions["text"] = cond - predictions[Branch.DROP_TEXT]
        if Branch.UNCOND in predictions:
            directions["audio"] = predictions[Branch.DROP_TEXT] - predictions[Branch.UNCOND]
        if Branch.DROP_AUDIO in predictions:
            directions["audio"] = cond - predictions[Branch.DROP_AUDIO]
        scales = {"text": self.guidance.text, "audio": self.guidance.audio}
        guided = cond
        for name, direction in directions.items():
            if name in self._past:
                direction = direction + self.projection.momentum * self._past[name]
            self._past[name] = direction
            guided = guided + (scales[name] - 1) * self._project(direction, cond)
        return guided

    def _project(self, direction: Tensor, prediction: Tensor) -> Tensor:
        """The direction, shortened to the threshold, with its part parallel to the prediction scaled by eta."""
        length = direction.double().norm()
        shortened = direction.double() * (self.projection.norm_threshold / length).clamp(max=1)
        axis = prediction.double() / prediction.double().norm()
        parallel = (shortened * axis).sum() * axis
        projected: Tensor = shortened - parallel + self.projection.eta * parallel
        return projected.to(direction.dtype)


Combiner = PlainCombiner | ProjectedCombiner


def _is_one(scale: float) -> bool:
    return math.isclose(scale, 1.0, rel_tol=1e-5, abs_tol=1e-8)


class BranchSharding(Protocol):
    """How the branches of a step are divided among processes."""

    def shard(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """The branches that this process predicts."""
        ...

    def gather(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:
        """The predictions of all branches, from those of this process; every process gets the same ones.

        Args:
            predictions: Of this process.
            branches: All branches, in the order in which they were divided.
            like: A tensor of a prediction's shape, type and device.
        """
        ...


class UnshardedBranches:
    """One process predicts all branches."""

    def shard(self, branches: Sequence[Branch]) -> Sequence[Branch]:
        """All branches."""
        return branches

    def gather(self, predictions: Predictions, branches: Sequence[Branch], like: Tensor) -> Predictions:  # noqa: ARG002
        """The same predictions."""
        return predictions


UNSHARDED_BRANCHES = UnshardedBranches()
