"""publish: the prepared files go into the workspace, ``plan.json`` last; the report says which chunks are missing.

When prepare runs several times, the plan of the first run stays. The files of the others do no harm: their names hold
the digests of their contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan, PlannedChunk
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.stages.chunk_files import memory_mode_of, read_render_report
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.result import existing_result
from talkingvideo_worker.stages.workspace import read_complete_plan, read_plan


def publish(context: StageContext) -> PrepareReport:
    """Write the workspace, unless it was written before, and report the plan.

    An existing plan with all its files is kept, because the inputs may have changed since.

    Raises:
        StageError: E_OUTPUT_EXISTS when another video has the result's name: before a GPU is requested.
    """
    plan = read_complete_plan(context) or _upload(context)
    context.reporter.report(Stage.PREPARE, 0.95, "Looking for finished chunks")
    exists = existing_result(context, plan) is not None
    rendered = _rendered(context, plan)
    missing = [chunk for chunk in plan.chunks if chunk.index not in rendered and not exists]
    return _report(plan, missing, rendered)


def _rendered(context: StageContext, plan: Plan) -> dict[int, dict[str, Any]]:
    """Render reports of the finished chunks, by index."""
    reports = {chunk.index: read_render_report(context.chunks, chunk.key) for chunk in plan.chunks}
    return {index: report for index, report in reports.items() if report is not None}


def _report(plan: Plan, missing: list[PlannedChunk], rendered: dict[int, dict[str, Any]]) -> PrepareReport:
    modes = dict.fromkeys(mode for mode in map(memory_mode_of, rendered.values()) if mode is not None)
    return PrepareReport(
        plan_digest=plan.digest,
        chunk_frames=tuple(chunk.frames for chunk in plan.chunks),
        missing=encode_bitmap((chunk.index for chunk in missing), len(plan.chunks)),
        width=plan.width,
        height=plan.height,
        delivered_width=plan.delivered_width,
        delivered_height=plan.delivered_height,
        estimate=Estimate(windows=sum(len(chunk.windows) for chunk in missing)),
        chained=any(chunk.overlap for chunk in plan.chunks),
        memory_modes=tuple(modes) or None,
        warnings=plan.warnings,
    )


def _upload(context: StageContext) -> Plan:
    """Write the prepared files; returns the plan that is in the workspace afterwards, which may be another run's."""
    folder = prepared_folder(context.scratch)
    if not folder.exists():
        message = "plan.json or one of its files was removed while prepare ran; the next attempt makes it again."
        raise StageError(ErrorCode.WORKSPACE, message)
    _expect_plain_files(folder)
    plan = Plan.model_validate_json((folder / PLAN_NAME).read_bytes())
    for done, name in enumerate(plan.files):
        context.reporter.report(Stage.PREPARE, 0.8 + 0.15 * done / len(plan.files), f"Writing {name}")
        context.workspace.put(plan.stored_name(name), folder / name)
    if not context.workspace.put_new(PLAN_NAME, folder / PLAN_NAME) and read_complete_plan(context) is None:
        context.workspace.put(PLAN_NAME, folder / PLAN_NAME)
    return read_plan(context) or plan


def _expect_plain_files(folder: Path) -> None:
    """Refuse links and anything else that is not a plain file.

    ``process`` parsed untrusted media, and this step has credentials: a link that an attacker made ``process`` leave
    could point at them.
    """
    files = [path for path in (folder, *folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if any(path.is_symlink() or not path.is_file() for path in files):
        message = "The prepared files include one that is not a plain file: an input may be an attack."
        raise StageError(ErrorCode.INTERNAL, message, retryable=False)
