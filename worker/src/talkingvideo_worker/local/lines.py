"""A local run for a program that watches it: lines of JSON on stdout instead of a bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from talkingvideo_api.model import Model
from talkingvideo_api.reports import FailureReport, Report
from talkingvideo_api.run_lines import ReportLine, Started, StartedLine
from talkingvideo_worker.local.documents import read_documents
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally
from talkingvideo_worker.local.stage_inputs import default_engine, make_stage_input, warnings_of
from talkingvideo_worker.process.termination import to_stage_error
from talkingvideo_worker.progress import LogReporter


def make_videos_in_lines(
    file: Path, engine: str | None, locations: LocalLocations, plan_folder: Path | None = None
) -> None:
    """Make every video of a file; see `talkingvideo_api.run_lines` for what is printed.

    Without mounts and Secrets: a program that has them makes objects for a cluster.

    Args:
        file: The YAML file.
        engine: Engine of objects that do not set ``spec.engine``; `default_engine` when absent.
        locations: Folders of results and chunks.
        plan_folder: See `run_locally`; for a file with one video.

    Raises:
        StageError: Of the first video that fails, after its report has been printed.
    """
    with _reported():
        documents = read_documents(file)
        stage_inputs = [make_stage_input(video, engine or default_engine(), locations) for video in documents.videos]
        locations.require_writable()
        mounts = LocalMounts({}, documents)
        for stage_input in stage_inputs:
            warnings = tuple(warnings_of(stage_input))
            started = Started(revision=stage_input.revision, effective=stage_input.effective, warnings=warnings)
            _print(StartedLine(started=started))
            if stage_input.spec.dry_run:
                _print_report(prepare_locally(stage_input, mounts, LogReporter()))
            else:
                _print_report(run_locally(stage_input, mounts, LogReporter(), _print_report, plan_folder))


@contextmanager
def _reported() -> Iterator[None]:
    """Print the report of a failure before it ends the process."""
    try:
        yield
    except Exception as error:
        _print_report(FailureReport.of(to_stage_error(error)))
        raise


def _print_report(report: Report) -> None:
    _print(ReportLine(report=report))


def _print(line: Model) -> None:
    typer.echo(line.to_json())
