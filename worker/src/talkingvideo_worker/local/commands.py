"""What ``talkingvideo run``, ``plan`` and ``make`` do: each makes or plans the videos of a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from talkingvideo_api.assignments import assemble, errors_by_option
from talkingvideo_api.reports import PrepareReport, RenderReport, StitchReport
from talkingvideo_api.resource import TalkingVideo, parse
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.local.locations import LocalLocations, parse_mounts, parse_secrets
from talkingvideo_worker.local.make import MakeArguments, assignments_of, result_location
from talkingvideo_worker.local.plan_output import PlannedVideo
from talkingvideo_worker.local.run import LocalMounts, plan_locally, prepare_locally, run_locally
from talkingvideo_worker.local.stage_inputs import default_engine, make_stage_input, warnings_of
from talkingvideo_worker.process.terminal import TerminalReporter, print_message, print_warnings
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


def make_videos(documents: Documents, engine: str | None, options: LocalOptions, locations: LocalLocations) -> None:
    """Make every video that is not cancelled, and print where its files are.

    Args:
        documents: The videos, and the ConfigMaps that they refer to.
        engine: Engine of objects that do not set ``spec.engine``; `default_engine` when absent.
        options: What stands in for volumes.
        locations: Folders of results and chunks.

    Raises:
        StageError: Before any work when a video or an option is wrong; otherwise of the first video that fails.
    """
    stage_inputs, local_mounts = _stage_inputs(documents, engine, options, locations)
    locations.require_writable()
    for stage_input in stage_inputs:
        if stage_input.spec.dry_run:
            _print_dry_run(stage_input, _prepare_video(stage_input, local_mounts))
        else:
            _print_result(stage_input, _make_video(stage_input, local_mounts), locations)


def make_video(arguments: MakeArguments, options: LocalOptions, workspace: Path) -> None:
    """Make the video that arguments describe; see `make_videos`. Errors name the arguments instead of fields.

    Args:
        arguments: The arguments.
        options: What stands in for volumes.
        workspace: Folder of finished chunks.
    """
    assignments = assignments_of(arguments)
    with errors_by_option(assignments):
        video = parse(assemble(assignments))
        make_videos(Documents((video,), {}), None, options, result_location(arguments, workspace))


def yaml_of(arguments: MakeArguments) -> str:
    """The document of a video that arguments describe, for ``talkingvideo run``.

    Raises:
        StageError: E_INPUT_VALIDATION with the argument that cannot be used.
    """
    assignments = assignments_of(arguments)
    with errors_by_option(assignments):
        video = parse(assemble(assignments))
    named = {"apiVersion": video.api_version, "kind": video.kind, "metadata": {"name": video.metadata.name}}
    return yaml.safe_dump({**named, "spec": video.spec.to_dict()}, sort_keys=False, allow_unicode=True)


def plan_videos(
    documents: Documents, engine: str | None, options: LocalOptions, locations: LocalLocations
) -> Iterator[PlannedVideo]:
    """Plan every video; see `make_videos`."""
    stage_inputs, local_mounts = _stage_inputs(documents, engine, options, locations)
    for stage_input in stage_inputs:
        with TerminalReporter(stage_input.name) as reporter:
            made = plan_locally(stage_input, local_mounts, reporter)
        yield PlannedVideo(stage_input, made, (*warnings_of(stage_input), *made.report.warnings))


def _stage_inputs(
    documents: Documents, engine: str | None, options: LocalOptions, locations: LocalLocations
) -> tuple[list[StageInput], LocalMounts]:
    """The stage inputs of all videos that are not cancelled: each is checked before the first one is made."""
    claims, secrets = parse_mounts(options.mounts), parse_secrets(options.secrets)
    stage_inputs = [make_stage_input(video, engine or default_engine(), locations) for video in _wanted(documents)]
    return stage_inputs, LocalMounts(claims, documents, secrets)


def _wanted(documents: Documents) -> Iterator[TalkingVideo]:
    """The videos that are not cancelled; of each other one it is said that it is skipped."""
    for video in documents.videos:
        if video.spec.cancel:
            print_message(f"{video.metadata.name}: skipped, because spec.cancel is true", style="yellow")
        else:
            yield video


def _prepare_video(stage_input: StageInput, mounts: LocalMounts) -> PrepareReport:
    with TerminalReporter(stage_input.name) as reporter:
        report = prepare_locally(stage_input, mounts, reporter)
    print_warnings([*warnings_of(stage_input), *report.warnings])
    return report


def _make_video(stage_input: StageInput, mounts: LocalMounts) -> StitchReport:
    warnings = warnings_of(stage_input)
    with TerminalReporter(stage_input.name) as reporter:

        def on_report(report: PrepareReport | RenderReport) -> None:
            if isinstance(report, PrepareReport):
                reporter.expect(report)
                warnings.extend(report.warnings)

        report = run_locally(stage_input, mounts, reporter, on_report)
    print_warnings(warnings)
    return report


def _print_dry_run(stage_input: StageInput, report: PrepareReport) -> None:
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
        print_message(f"  {file.name:<{width}} {locations.result(stage_input.name, file.suffix)}")
