"""Runs the stages of one video in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.plan import Plan
from talkingvideo_api.reports import PrepareReport, RenderReport, StitchReport, decode_bitmap
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.files import scratch_folder
from talkingvideo_worker.inputs.offline import Mounts
from talkingvideo_worker.local.documents import Documents
from talkingvideo_worker.progress import Reporter
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.chunks import speech_profile
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.stitch import stitch
from talkingvideo_worker.stages.workspace import require_plan


@dataclass(frozen=True)
class LocalMounts:
    """Stands in for the volumes of a pod.

    Attributes:
        claims: Folders by claim.
        documents: Contents of the YAML file, which include the ConfigMaps.
        secrets: Folder with the Secrets, each in a folder of its name; none when absent.
    """

    claims: dict[str, Path]
    documents: Documents
    secrets: Path | None = None


def prepare_locally(stage_input: StageInput, mounts: LocalMounts, reporter: Reporter) -> PrepareReport:
    """Run prepare only, as a dry run does."""
    with _context(stage_input, mounts, reporter) as context:
        return _prepare(context)


@dataclass(frozen=True)
class LocalPlan:
    """What prepare has found and decided.

    Attributes:
        report: What the operator would be told.
        plan: The whole plan.
        silences: (first sample, end sample) of each silence of all speakers at 16 kHz; the end is exclusive.
    """

    report: PrepareReport
    plan: Plan
    silences: tuple[tuple[int, int], ...]


def plan_locally(stage_input: StageInput, mounts: LocalMounts, reporter: Reporter) -> LocalPlan:
    """Run prepare only, and keep what people want to know about the plan."""
    with _context(stage_input, mounts, reporter) as context:
        report = _prepare(context)
        plan = require_plan(context)
        tracks = [prepared_folder(context.scratch) / track.file for track in plan.tracks]
        return LocalPlan(report, plan, speech_profile(stage_input.effective, tracks).silences)


def run_locally(
    stage_input: StageInput,
    mounts: LocalMounts,
    reporter: Reporter,
    on_report: Callable[[PrepareReport | RenderReport], None] = lambda _: None,
    plan_folder: Path | None = None,
) -> StitchReport:
    """Make one video. Chunks that an earlier run finished are reused.

    Args:
        stage_input: What to make.
        mounts: Stands in for the volumes of a pod.
        reporter: Receives the progress.
        on_report: Called with the report of each stage but the last one.
        plan_folder: Keeps the plan and what was prepared, for whoever reads it meanwhile; this run's own. A temporary
            folder when absent.

    Raises:
        StageError: Of the stage that failed.
    """
    with _context(stage_input, mounts, reporter, plan_folder) as context:
        report = _prepare(context)
        on_report(report)
        for index in decode_bitmap(report.missing, len(report.chunk_frames)):
            on_report(render(context, index))
        return stitch(context)


def _prepare(context: StageContext) -> PrepareReport:
    fetch(context)
    process(context)
    return publish(context)


@contextmanager
def _context(
    stage_input: StageInput, mounts: LocalMounts, reporter: Reporter, plan_folder: Path | None = None
) -> Iterator[StageContext]:
    """The context of a run, whose workspace is temporary unless a folder of its own is named.

    Unlike in a cluster, the input files of an unchanged spec may have changed, and two runs of one file may overlap: each
    run makes its own plan in its own workspace. Finished chunks are shared.
    """
    with scratch_folder() as scratch:
        claims, configmaps = scratch / "claims", scratch / "configmaps"
        claims.mkdir()
        for name, folder in mounts.claims.items():
            (claims / name).symlink_to(folder.resolve())
        mounts.documents.write_configmaps(configmaps)
        workspace = (plan_folder or scratch / "workspace").absolute()
        locations = stage_input.locations.model_copy(update={"workspace": workspace.as_uri()})
        yield StageContext(
            stage_input=stage_input.model_copy(update={"locations": locations}),
            mounts=Mounts(claims=claims, configmaps=configmaps, headers=mounts.secrets or scratch / "headers"),
            scratch=scratch / "stage",
            reporter=reporter,
        )
