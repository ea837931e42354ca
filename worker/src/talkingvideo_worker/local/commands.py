"""What ``talkingvideo run`` and ``talkingvideo plan`` do, and say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from talkingvideo_api.reports import PrepareReport, StitchReport
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.documents import read_documents
from talkingvideo_worker.local.locations import LocalLocations, parse_mounts
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally
from talkingvideo_worker.local.stage_inputs import default_engine, make_stage_input, warnings_of
from talkingvideo_worker.process.terminal import TerminalReporter, say
from talkingvideo_worker.stages.result import RESULT_FILES


def make_videos(file: Path, engine: str | None, mounts: Iterable[str], locations: LocalLocations) -> None:
    """Make every video of a file, and say where it is.

    Args:
        file: The YAML.
        engine: Of objects that name none; see `default_engine` when absent.
        mounts: ``claim=DIR`` each.
        locations: Folders of results and chunks.

    Raises:
        StageError: Before any work when the file or an option is wrong; else of the first video that fails.
    """
    stage_inputs, local_mounts = _stage_inputs(file, engine, mounts, locations)
    locations.require_writable()
    for stage_input in stage_inputs:
        if stage_input.spec.dry_run:
            _say_plan(stage_input, _plan_of(stage_input, local_mounts))
        else:
            _say_result(stage_input, _make_video(stage_input, local_mounts), locations)


def plans_of(
    file: Path, engine: str | None, mounts: Iterable[str], locations: LocalLocations
) -> Iterator[PrepareReport]:
    """Plan every video of a file; see `make_videos`."""
    stage_inputs, local_mounts = _stage_inputs(file, engine, mounts, locations)
    for stage_input in stage_inputs:
        yield _plan_of(stage_input, local_mounts)


def _stage_inputs(
    file: Path, engine: str | None, mounts: Iterable[str], locations: LocalLocations
) -> tuple[list[StageInput], LocalMounts]:
    """All are checked before the first is begun."""
    claims, documents = parse_mounts(mounts), read_documents(file)
    stage_inputs = [make_stage_input(video, engine or default_engine(), locations) for video in documents.videos]
    return stage_inputs, LocalMounts(claims, documents)


def _plan_of(stage_input: StageInput, mounts: LocalMounts) -> PrepareReport:
    with TerminalReporter(stage_input.name) as reporter:
        report = prepare_locally(stage_input, mounts, reporter)
    _say_notes([*warnings_of(stage_input), *report.warnings])
    return report


def _make_video(stage_input: StageInput, mounts: LocalMounts) -> StitchReport:
    notes = warnings_of(stage_input)
    with TerminalReporter(stage_input.name) as reporter:

        def take_note(plan: PrepareReport) -> None:
            reporter.expect(plan)
            notes.extend(plan.warnings)

        report = run_locally(stage_input, mounts, reporter, take_note)
    _say_notes(notes)
    return report


def _say_notes(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"note: {note}", style="yellow")


def _say_plan(stage_input: StageInput, report: PrepareReport) -> None:
    frames, chunks = sum(report.chunk_frames), len(report.chunk_frames)
    size = f"{report.delivered_width}x{report.delivered_height}"
    say(f"{stage_input.name}: dry run, {frames} frames in {chunks} chunks, {size}; nothing was rendered", style="green")


def _say_result(stage_input: StageInput, report: StitchReport, locations: LocalLocations) -> None:
    shape = f"{report.width}x{report.height}, {report.bytes / 1e6:.1f} MB"
    say(f"{stage_input.name}: {report.frame_count} frames, {report.duration_seconds:.2f} s, {shape}", style="green")
    for file in RESULT_FILES:
        say(f"  {file.name:<9} {locations.out / f'{stage_input.name}{file.suffix}'}")
