"""publish: what process made goes into the workspace, ``plan.json`` last; the report says which chunks are missing."""

from __future__ import annotations

import hashlib
from pathlib import Path

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan, PlannedChunk
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.stages.chunk_files import done_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.result import existing_result


def publish(context: StageContext) -> PrepareReport:
    """Write the workspace, unless it was written before, and report the plan.

    A plan that is there is kept, and so are its files: inputs may have changed since.

    Raises:
        StageError: E_OUTPUT_EXISTS when the result's place is taken: said before any GPU is asked for.
    """
    if context.read_plan() is None:
        _upload(context)
    plan = context.require_plan()
    context.reporter.report(Stage.PREPARE, 0.95, "Looking for finished chunks")
    return _report(plan, _missing(context, plan))


def _missing(context: StageContext, plan: Plan) -> list[PlannedChunk]:
    """The chunks to render: none for a result that is there already."""
    if existing_result(context, plan) is not None:
        return []
    return [chunk for chunk in plan.chunks if context.chunks.stat(done_name(chunk.key)) is None]


def _report(plan: Plan, missing: list[PlannedChunk]) -> PrepareReport:
    return PrepareReport(
        plan_digest=hashlib.sha256(plan.to_json().encode()).hexdigest(),
        chunk_frames=tuple(chunk.frames for chunk in plan.chunks),
        missing=encode_bitmap((chunk.index for chunk in missing), len(plan.chunks)),
        width=plan.width,
        height=plan.height,
        delivered_width=plan.delivered_width,
        delivered_height=plan.delivered_height,
        estimate=Estimate(windows=sum(len(chunk.windows) for chunk in missing)),
        chained=any(chunk.lead for chunk in plan.chunks),
        warnings=plan.warnings,
    )


def _upload(context: StageContext) -> None:
    folder = prepared_folder(context.scratch)
    names = [name for name in _plain_files(folder) if name != PLAN_NAME]
    for done, name in enumerate(names):
        context.reporter.report(Stage.PREPARE, 0.8 + 0.15 * done / len(names), f"Writing {name}")
        context.workspace.put(name, folder / name)
    if not context.workspace.put_new(PLAN_NAME, folder / PLAN_NAME) and context.read_plan() is None:
        context.workspace.put(PLAN_NAME, folder / PLAN_NAME)


def _plain_files(folder: Path) -> list[str]:
    """Names of the files below a folder.

    ``process`` parsed strangers' media, and this step has credentials: a link that somebody made it leave could lead to
    them.
    """
    found = [path for path in (folder, *folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if any(path.is_symlink() or not path.is_file() for path in found):
        message = "What was prepared holds something that is not a plain file: the input may be an attack."
        raise StageError(ErrorCode.INTERNAL, message, retryable=False)
    return sorted(str(path.relative_to(folder)) for path in found)
