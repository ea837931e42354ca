"""Compares a stage's report with what is known about its work.

The models bound what a report may say (`talkingvideo_api.reports`); here is what only the operator knows. A pod has parsed
strangers' media before it reports, and may say anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from talkingvideo_api.effective import Effective
from talkingvideo_api.reports import PrepareReport, RenderReport, Report, StitchReport
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_clients.kube.objects import Job

Check = Callable[[Job, Report], str | None]
"""What is wrong with the report of a Job; None where nothing is."""

FRAME_RATE = 25
LARGEST_DIFFERENCE = 1.0
"""Seconds by which a result's duration may differ from that of its frames."""


@dataclass(frozen=True)
class KnownWork:
    """What is known about a video's work.

    Attributes:
        status: With the effective values, and the plan once there is one.
        result: URI of the result, without suffix.
    """

    status: TalkingVideoStatus
    result: str

    def problem(self, job: Job, report: Report) -> str | None:
        """What is wrong with the report of a Job."""
        match report:
            case PrepareReport():
                return _prepared(report, self.status.effective)
            case RenderReport():
                return self._rendered(job, report)
            case StitchReport():
                return self._joined(report)
        return None

    def _rendered(self, job: Job, report: RenderReport) -> str | None:
        chunks = self.status.chunks
        if report.chunk != job.chunk:
            return f"it is for chunk {report.chunk}"
        if chunks is not None and report.frames != chunks.frames[report.chunk]:
            return f"it counts {report.frames} frames, and the plan {chunks.frames[report.chunk]}"
        return None

    def _joined(self, report: StitchReport) -> str | None:
        frames = sum(self.status.chunks.frames) if self.status.chunks else report.frame_count
        size = self.status.delivered
        if report.frame_count != frames:
            return f"it counts {report.frame_count} frames, and the plan {frames}"
        if report.frame_rate != FRAME_RATE or abs(report.duration_seconds - frames / FRAME_RATE) > LARGEST_DIFFERENCE:
            return "its duration is not that of its frames"
        if size is not None and (report.width, report.height) != (size.width, size.height):
            return f"its size is {report.width}x{report.height}, and that of the plan {size.width}x{size.height}"
        return self._foreign_file(report)

    def _foreign_file(self, report: StitchReport) -> str | None:
        """Whatever status shows as the result leads there, and not to a place that the pod has chosen."""
        uris = (report.uri, *(artifact.uri for artifact in report.artifacts.values()))
        if report.uri != f"{self.result}.mp4" or any(not _is_beside(uri, self.result) for uri in uris):
            return "it names files that are not the video's result"
        return None


def _prepared(report: PrepareReport, effective: Effective | None) -> str | None:
    if effective is None:
        return None
    if effective.max_frames is not None and sum(report.chunk_frames) > effective.max_frames:
        return f"it counts more than {effective.max_frames} frames"
    wanted = (effective.width, effective.height)
    if None not in wanted and (report.delivered_width, report.delivered_height) != wanted:
        return "its size is not that of the spec"
    return None


def _is_beside(uri: str, stem: str) -> bool:
    """Whether a file has the result's name and a suffix of its own."""
    return uri.startswith(f"{stem}.") and "/" not in uri.removeprefix(stem)
