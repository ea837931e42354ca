"""The files of a result: the video, the artifacts that are made from it, and its description."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.plan import Plan
from talkingvideo_api.reports import REPORT, THUMBNAIL
from talkingvideo_worker.media.finished_video import write_thumbnail
from talkingvideo_worker.stages.context import StageContext


@dataclass(frozen=True)
class ResultFile:
    """A file of a result.

    Attributes:
        name: Name in the stitch report's artifacts.
        suffix: Suffix of the file's name.
        media_type: MIME type.
    """

    name: str
    suffix: str
    media_type: str


@dataclass(frozen=True)
class FinishedVideo:
    """The finished video, from which artifacts are made.

    Attributes:
        context: What the stage runs with.
        plan: The plan.
        path: The mp4.
    """

    context: StageContext
    plan: Plan
    path: Path


@dataclass(frozen=True)
class ArtifactFile(ResultFile):
    """A file that stitch makes beside the video.

    Attributes:
        write: Writes the file to a path.
    """

    write: Callable[[FinishedVideo, Path], object]


def _write_thumbnail(video: FinishedVideo, path: Path) -> None:
    write_thumbnail(video.path, path)


VIDEO = ResultFile("video", ".mp4", "video/mp4")
DESCRIPTION = ResultFile(REPORT, ".json", "application/json")
ARTIFACTS = (ArtifactFile(THUMBNAIL, ".jpg", "image/jpeg", _write_thumbnail),)
"""To add an artifact, such as captions, add its row: stitch, the report and the command line read this table. To show it in
status too, add a field to ``OutputStatus`` and set it in the operator's ``planning/status.py``."""

RESULT_FILES = (VIDEO, *ARTIFACTS, DESCRIPTION)
