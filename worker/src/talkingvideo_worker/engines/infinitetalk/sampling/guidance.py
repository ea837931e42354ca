"""Classifier-free guidance by text and by sound, plain or by adaptive projection.

Adaptive projected guidance: Sadat et al., "Eliminating Oversaturation and Artifacts of High Guidance Scales in
Diffusion Models", 2024 (arXiv 2410.02416), here once for each of the two directions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from torch import Tensor


class Branch(StrEnum):
    """Predictions that guidance compares, named by what they go without."""

    COND = "cond"
    DROP_TEXT = "drop_text"
    UNCOND = "uncond"
    DROP_AUDIO = "drop_audio"

    @property
    def is_prompted(self) -> bool:
        """Whether it reads the prompt, rather than the negative prompt."""
        return self in (Branch.COND, Branch.DROP_AUDIO)

    @property
    def is_heard(self) -> bool:
        """Whether it hears the speakers, rather than one track of zeros."""
        return self in (Branch.COND, Branch.DROP_TEXT)


Predictions = Mapping[Branch, Tensor]


@dataclass(frozen=True)
class Projection:
    """Settings of adaptive projected guidance.

    Attributes:
        momentum: Share of the past that is added to a direction; negative pushes away from it.
        norm_threshold: Longest a direction may be (over all of its values).
        eta: Share of the part parallel to the prediction that stays.
    """

    momentum: float = -0.75
    norm_threshold: float = 55.0
    eta: float = 0.0


@dataclass(frozen=True)
class Guidance:
    """How far to go away from the predictions without text and without sound.

    Attributes:
        text: Scale for the text; 1 is off.
        audio: Scale for the sound; 1 is off.
        projection: Adaptive projection, or None for plain guidance.
    """

    text: float
    audio: float
    projection: Projection | None = None

    @property
    def branches(self) -> tuple[Branch, ...]:
        """The predictions that are needed; each costs a call of the model.

        The published code calls for all of them where one cancels out: without sound when the sound's scale is 1.
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
    """Adds what of each direction is orthogonal to the prediction; remembers the directions of a window's steps."""

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
            guided = guided + (scales[name] - 1) * self._projected(direction, cond)
        return guided

    def _projected(self, direction: Tensor, prediction: Tensor) -> Tensor:
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
