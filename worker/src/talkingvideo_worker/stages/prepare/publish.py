"""publish: what process made goes into the workspace, ``plan.json`` last; the report says which chunks are missing."""

from __future__ import annotations

import hashlib

from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.stages.chunk_files import done_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import prepared_folder, prepared_marker
from talkingvideo_worker.stages.stitch import earlier_result


def publish(context: StageContext) -> PrepareReport:
    """Write the workspace and report the plan.

    Raises:
        StageError: E_OUTPUT_EXISTS when the result's place is taken: said before any GPU is asked for.
    """
    if not prepared_marker(context.scratch).exists():
        _upload(context)
    plan = context.require_plan()
    earlier_result(context, plan)
    context.reporter.report(Stage.PREPARE, 0.95, "Looking for finished chunks")
    return report_of(context, plan)


def report_of(context: StageContext, plan: Plan) -> PrepareReport:
    """The report of a published plan."""
    missing = [chunk for chunk in plan.chunks if context.chunks.stat(done_name(chunk.key)) is None]
    return PrepareReport(
        plan_digest=hashlib.sha256(plan.to_json().encode()).hexdigest(),
        chunk_frames=tuple(chunk.frames for chunk in plan.chunks),
        missing=encode_bitmap((chunk.index for chunk in missing), len(plan.chunks)),
        width=plan.width,
        height=plan.height,
        delivered_width=plan.delivered_width,
        delivered_height=plan.delivered_height,
        estimate=Estimate(windows=sum(len(chunk.windows) for chunk in missing)),
        warnings=plan.warnings,
    )


def _upload(context: StageContext) -> None:
    folder = prepared_folder(context.scratch)
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    for done, name in enumerate(name for name in names if name != PLAN_NAME):
        context.reporter.report(Stage.PREPARE, 0.8 + 0.15 * done / len(names), f"Writing {name}")
        context.workspace.put(name, folder / name)
    context.workspace.put_new(PLAN_NAME, folder / PLAN_NAME)
