"""What a Namespace object says: its labels, by which profiles select, and its share of the bounds.

Authors of TalkingVideos cannot normally write their Namespace; who can is an administrator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from talkingvideo_api.names import ANNOTATION_MAX_PARALLEL, ANNOTATION_WEIGHT, Stage

DIGITS = re.compile(r"[0-9]{1,6}", re.ASCII)
MAX_SHOWN = 40
"""Characters of an invalid value that a message repeats."""


@dataclass(frozen=True)
class Namespace:
    """A namespace.

    Attributes:
        labels: Its labels.
        weight: Its weight: twice the weight is twice the share of what is scarce.
        limits: Its own bounds on stages.
        problems: Annotations that are ignored, and why.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    weight: int = 1
    limits: Mapping[Stage, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Namespace:
        """Project a Namespace as the API returns it. An annotation without a usable number is ignored."""
        metadata = body.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        names = (ANNOTATION_WEIGHT, *ANNOTATION_MAX_PARALLEL.values())
        numbers = {name: _positive(annotations[name]) for name in names if name in annotations}
        limits = {stage: numbers.get(name) for stage, name in ANNOTATION_MAX_PARALLEL.items()}
        return cls(
            labels=dict(metadata.get("labels") or {}),
            weight=numbers.get(ANNOTATION_WEIGHT) or 1,
            limits={stage: limit for stage, limit in limits.items() if limit is not None},
            problems=tuple(
                f"annotation {name}: {annotations[name][:MAX_SHOWN]!r} is ignored, it must be a number from 1 to 999999"
                for name, number in numbers.items()
                if number is None
            ),
        )


def _positive(text: str) -> int | None:
    return (int(text) or None) if DIGITS.fullmatch(text) else None
