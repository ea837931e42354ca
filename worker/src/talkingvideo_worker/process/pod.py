"""Runs a stage in a pod: its mounts, and the report of its end to the operator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.reports import FailureReport, Report
from talkingvideo_worker.files import scratch_folder
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.process.terminal import exit_on_failure
from talkingvideo_worker.process.termination import TERMINATION_LOG, to_stage_error, write_report
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext, read_stage_input


@dataclass(frozen=True)
class Pod:
    """A stage's pod.

    Attributes:
        context: What the stage runs with.
        termination_log: File of the termination message.
    """

    context: StageContext
    termination_log: Path

    def report(self, report: Report) -> None:
        """Write the stage's report for the operator."""
        write_report(report, self.termination_log)


@contextmanager
def stage_in_pod(stage_input: Path, sha256: str | None = None) -> Iterator[Pod]:
    """Run a stage in a pod. When it fails, the failure is reported to the operator.

    Args:
        stage_input: File of the stage input.
        sha256: Digest that the file must have; not checked when absent, as when a person runs the command.

    Raises:
        typer.Exit: With the exit status of the failure.
    """
    log = Path(os.environ.get("TALKINGVIDEO_TERMINATION_LOG", TERMINATION_LOG))
    with exit_on_failure():
        try:
            with _scratch() as scratch:
                document = read_stage_input(stage_input, sha256)
                yield Pod(StageContext(document, _mounts(), scratch, LogReporter()), log)
        except Exception as error:
            write_report(FailureReport.of(to_stage_error(error)), log)
            raise


@contextmanager
def _scratch() -> Iterator[Path]:
    """The container's own scratch volume, in which the folders that cross are mounted; a temporary folder without one."""
    if volume := os.environ.get("TALKINGVIDEO_SCRATCH"):
        yield Path(volume)
        return
    with scratch_folder() as folder:
        yield folder


def _mounts() -> Mounts:
    return Mounts(
        claims=Path(os.environ.get("TALKINGVIDEO_CLAIMS", "/mnt/claims")),
        configmaps=Path(os.environ.get("TALKINGVIDEO_CONFIGMAPS", "/mnt/configmaps")),
        headers=Path(os.environ.get("TALKINGVIDEO_HEADERS", "/mnt/headers")),
    )
