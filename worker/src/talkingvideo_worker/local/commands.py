"""``talkingvideo run`` and ``talkingvideo plan``: what they do and what they print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.reports import PrepareReport, StitchReport
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.documents import Documents, read_documents
from talkingvideo_worker.local.locations import LocalLocations, parse_mounts, parse_secrets
from talkingvideo_worker.local.run import LocalMounts, prepare_locally, run_locally
from talkingvideo_worker.local.stage_inputs import default_engine, make_stage_input, warnings_of
from talkingvideo_worker.process.terminal import TerminalReporter, print_message
from talkingvideo_worker.stages.result_files import RESULT_FILES


@dataclass(frozen=True)
class LocalOptions:
    """The options that stand in for a pod's volumes.

    Attributes:
        mounts: ``claim=DIR`` each.
        secrets: Folder with the Secrets of ``headersSecretName``; none can be used when absent.
    """

    mounts: Iterable[str] = ()
    secrets: Path | None = None


def make_videos(file: Path, engine: str | None, options: LocalOptions, locations: LocalLocations) -> None:
    """Make every video of a file that is not cancelled, and print where its files are.

    Args:
        file: The YAML file.
        engine: Engine of objects that do not set ``spec.engine``; `default_engine` when absent.
        options: What stands in for volumes.
        locations: Folders of results and chunks.

    Raises:
        StageError: Before any work when the file or an option is wrong; otherwise of the first video that fails.
    """
    stage_inputs, local_mounts = _stage_inputs(file, engine, options, locations)
    locations.require_writable()
    for stage_input in stage_inputs:
        if stage_input.spec.dry_run:
            _print_plan(stage_input, _plan_video(stage_input, local_mounts))
        else:
            _print_result(stage_input, _make_video(stage_input, local_mounts), locations)


def plan_videos(
    file: Path, engine: str | None, options: LocalOptions, locations: LocalLocations
) -> Iterator[PrepareReport]:
    """Plan every video of a file; see `make_videos`."""
    stage_inputs, local_mounts = _stage_inputs(file, engine, options, locations)
    for stage_input in stage_inputs:
        yield _plan_video(stage_input, local_mounts)


def _stage_inputs(
    file: Path, engine: str | None, options: LocalOptions, locations: LocalLocations
) -> tuple[list[StageInput], LocalMounts]:
    """The stage inputs of all videos that are not cancelled: each is checked before the first one is made."""
    claims, secrets, documents = parse_mounts(options.mounts), parse_secrets(options.secrets), read_documents(file)
    stage_inputs = [make_stage_input(video, engine or default_engine(), locations) for video in _wanted(documents)]
    return stage_inputs, LocalMounts(claims, documents, secrets)


def _wanted(documents: Documents) -> Iterator[TalkingVideo]:
    """The videos that are not cancelled; of each other one it is said that it is skipped."""
    for video in documents.videos:
        if video.spec.cancel:
            print_message(f"{video.metadata.name}: skipped, because spec.cancel is true", style="yellow")
        else:
            yield video


def _plan_video(stage_input: StageInput, mounts: LocalMounts) -> PrepareReport:
    with TerminalReporter(stage_input.name) as reporter:
        report = prepare_locally(stage_input, mounts, reporter)
    _print_warnings([*warnings_of(stage_input), *report.warnings])
    return report


def _make_video(stage_input: StageInput, mounts: LocalMounts) -> StitchReport:
    warnings = warnings_of(stage_input)
    with TerminalReporter(stage_input.name) as reporter:

        def on_prepared(plan: PrepareReport) -> None:
            reporter.expect(plan)
            warnings.extend(plan.warnings)

        report = run_locally(stage_input, mounts, reporter, on_prepared)
    _print_warnings(warnings)
    return report


def _print_warnings(warnings: Iterable[str]) -> None:
    for warning in warnings:
        print_message(f"warning: {warning}", style="yellow")


def _print_plan(stage_input: StageInput, report: PrepareReport) -> None:
    frames, chunks = sum(report.chunk_frames), len(report.chunk_frames)
    size = f"{report.delivered_width}x{report.delivered_height}"
    message = f"{stage_input.name}: dry run, {frames} frames in {chunks} chunks, {size}; nothing was rendered"
    print_message(message, style="green")


def _print_result(stage_input: StageInput, report: StitchReport, locations: LocalLocations) -> None:
    size = f"{report.width}x{report.height}, {report.bytes / 1e6:.1f} MB"
    message = f"{stage_input.name}: {report.frame_count} frames, {report.duration_seconds:.2f} s, {size}"
    print_message(message, style="green")
    width = max(len(file.name) for file in RESULT_FILES)
    for file in RESULT_FILES:
        print_message(f"  {file.name:<{width}} {locations.out / f'{stage_input.name}{file.suffix}'}")
