"""A stage in a pod: where things are mounted, and how its end reaches the operator."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.reports import FailureReport, Report
from talkingvideo_worker.files import scratch_folder
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.process.terminal import failures_for_people
from talkingvideo_worker.process.termination import TERMINATION_LOG, failure_of, write_report
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.stages.context import StageContext, read_stage_input


@dataclass(frozen=True)
class Pod:
    """A stage's pod.

    Attributes:
        context: The stage's context.
        log: File of the termination message.
    """

    context: StageContext
    log: Path

    def report(self, report: Report) -> None:
        """Write the stage's report for the operator."""
        write_report(report, self.log)


@contextmanager
def stage_in_pod(stage_input: Path) -> Iterator[Pod]:
    """The surroundings of a stage; its end is left for the operator, also when it is a failure.

    Args:
        stage_input: The order's file.

    Raises:
        typer.Exit: With the exit status of the failure.
    """
    log = Path(os.environ.get("TALKINGVIDEO_TERMINATION_LOG", TERMINATION_LOG))
    with failures_for_people():
        try:
            with _scratch() as scratch:
                yield Pod(StageContext(read_stage_input(stage_input), _mounts(), scratch, LogReporter()), log)
        except Exception as error:
            write_report(FailureReport.of(failure_of(error)), log)
            raise


@contextmanager
def _scratch() -> Iterator[Path]:
    """The pod's scratch volume, which the containers of prepare share; a temporary folder where there is none."""
    if given := os.environ.get("TALKINGVIDEO_SCRATCH"):
        folder = Path(given) / "stage"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with scratch_folder() as folder:
        yield folder


def _mounts() -> Mounts:
    return Mounts(
        claims=Path(os.environ.get("TALKINGVIDEO_CLAIMS", "/mnt/claims")),
        configmaps=Path(os.environ.get("TALKINGVIDEO_CONFIGMAPS", "/mnt/configmaps")),
        headers=Path(os.environ.get("TALKINGVIDEO_HEADERS", "/mnt/headers")),
    )
