"""What the process that leads tells the others, and what they tell it."""

from __future__ import annotations

from dataclasses import dataclass

from talkingvideo_api.errors import ErrorCode
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout


@dataclass(frozen=True)
class Join:
    """Form the grid.

    Attributes:
        layout: The grid.
        port: Of the leader's store on this machine.
    """

    layout: Layout
    port: int


@dataclass(frozen=True)
class Denoise:
    """Take part in one window.

    Attributes:
        arguments: Of ``denoise``, as ``torch.save`` writes them.
    """

    arguments: bytes


@dataclass(frozen=True)
class Ready:
    """The model is loaded."""


@dataclass(frozen=True)
class Failed:
    """The process cannot go on.

    Attributes:
        code: Of the error.
        message: For people.
        field: Of the resource, if one is to blame.
        is_full: Whether its GPU's memory ran out, so that a leaner memory mode may help.
        is_cause: Whether it failed by itself, rather than because it lost the others.
    """

    code: ErrorCode
    message: str
    field: str | None = None
    is_full: bool = False
    is_cause: bool = True


Order = Join | Denoise
Answer = Ready | Failed
