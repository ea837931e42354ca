"""What ``talkingvideo run --progress json`` writes: one JSON object a line, for a program that runs it.

The lines are those of pods where pods have them: progress as they log it, and the stages' reports.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, ValidationError

from talkingvideo_api.effective import Effective
from talkingvideo_api.model import Model
from talkingvideo_api.reports import FailureReport, PrepareReport, ProgressLine, RenderReport, StitchReport


class Started(Model):
    """A run has begun."""

    revision: str
    """Digest of the fields of the spec that determine the result."""
    effective: Effective
    """Effective values."""
    warnings: tuple[str, ...] = ()
    """Fields without effect."""


class StartedLine(Model):
    """The first line."""

    started: Started


class ReportLine(Model):
    """A stage has ended."""

    report: Annotated[PrepareReport | RenderReport | StitchReport | FailureReport, Field(discriminator="kind")]


RunLine = StartedLine | ProgressLine | ReportLine


def decode_line(text: str) -> RunLine | None:
    """Read a line; None for one that is none of these, such as a library's message."""
    kinds: tuple[tuple[str, type[RunLine]], ...] = (
        ('{"started":', StartedLine), ('{"progress":', ProgressLine), ('{"report":', ReportLine),
    )  # fmt: skip
    for beginning, kind in kinds:
        if text.startswith(beginning):
            try:
                return kind.model_validate_json(text)
            except ValidationError:
                return None
    return None
