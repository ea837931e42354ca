"""publish: what process made goes into the workspace, ``plan.json`` last; the report says which chunks are missing.

Of several runs the first one's plan stays. The others' files lie beside its own, under the names of their own contents.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan, PlannedChunk
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.folders import prepared_folder
from talkingvideo_worker.stages.result import existing_result
from talkingvideo_worker.stages.segments import memory_mode_of, rendering_of
from talkingvideo_worker.stages.workspace import whole_plan


def publish(context: StageContext) -> PrepareReport:
    """Write the workspace, unless it was written before, and report the plan.

    A plan that is there with all its files is kept: inputs may have changed since.

    Raises:
        StageError: E_OUTPUT_EXISTS when the result's place is taken: said before any GPU is asked for.
    """
    plan = whole_plan(context) or _upload(context)
    context.reporter.report(Stage.PREPARE, 0.95, "Looking for finished chunks")
    there = existing_result(context, plan) is not None
    finished = {chunk.index: rendering_of(context.chunks, chunk.key) for chunk in plan.chunks}
    missing = [chunk for chunk in plan.chunks if finished[chunk.index] is None and not there]
    return _report(plan, missing, [rendering for rendering in finished.values() if rendering is not None])


def _report(plan: Plan, missing: list[PlannedChunk], finished: list[dict[str, Any]]) -> PrepareReport:
    modes = dict.fromkeys(mode for mode in map(memory_mode_of, finished) if mode is not None)
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
    """Write what process made; returns the plan that stands in the workspace then, which may be another run's."""
    folder = prepared_folder(context.scratch)
    if not folder.exists():
        message = "Somebody removed plan.json, or a file of it, meanwhile; the next attempt makes it again."
        raise StageError(ErrorCode.WORKSPACE, message)
    _expect_plain_files(folder)
    plan = Plan.model_validate_json((folder / PLAN_NAME).read_bytes())
    for done, name in enumerate(plan.files):
        context.reporter.report(Stage.PREPARE, 0.8 + 0.15 * done / len(plan.files), f"Writing {name}")
        context.workspace.put(plan.stored_name(name), folder / name)
    if not context.workspace.put_new(PLAN_NAME, folder / PLAN_NAME) and whole_plan(context) is None:
        context.workspace.put(PLAN_NAME, folder / PLAN_NAME)
    return context.read_plan() or plan


def _expect_plain_files(folder: Path) -> None:
    """Refuse anything else below a folder.

    ``process`` parsed strangers' media, and this step has credentials: a link that somebody made it leave could lead to
    them.
    """
    found = [path for path in (folder, *folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if any(path.is_symlink() or not path.is_file() for path in found):
        message = "What was prepared holds something that is not a plain file: the input may be an attack."
        raise StageError(ErrorCode.INTERNAL, message, retryable=False)
