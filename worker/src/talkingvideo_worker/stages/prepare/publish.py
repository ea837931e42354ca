"""publish: the prepared files go into the workspace, ``plan.json`` last; the report says which chunks are missing.

When prepare runs several times, the plan of the first run stays. The files of the others do no harm: their names hold
the digests of their contents.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, Plan, PlannedChunk
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.stages.chunk_files import memory_mode_of, read_render_report
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import fetched_loras, lora_name
from talkingvideo_worker.stages.prepare.checking import read_prepared_plan, refused
from talkingvideo_worker.stages.prepare.folders import inputs_folder, prepared_folder
from talkingvideo_worker.stages.result import existing_result
from talkingvideo_worker.stages.workspace import most_prepared_bytes, read_complete_plan, read_plan
from talkingvideo_worker.untrusted import UntrustedError, copy_plain


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
    if not (prepared_folder(context.scratch) / PLAN_NAME).exists():
        message = "plan.json or one of its files was removed while prepare ran; the next attempt makes it again."
        raise StageError(ErrorCode.WORKSPACE, message)
    plan, content = read_prepared_plan(context.stage_input, context.scratch)
    with _published_folder(context) as folder:
        _upload_files(context, plan, folder / "file")
        (folder / PLAN_NAME).write_bytes(content)
        if not context.workspace.put_new(PLAN_NAME, folder / PLAN_NAME) and read_complete_plan(context) is None:
            context.workspace.put(PLAN_NAME, folder / PLAN_NAME)
    return read_plan(context) or plan


@contextmanager
def _published_folder(context: StageContext) -> Iterator[Path]:
    """A folder of this step's own, into which a file is copied while it is checked, and from which it is uploaded."""
    with tempfile.TemporaryDirectory(dir=context.scratch, prefix="publish-") as folder:
        yield Path(folder)


def _upload_files(context: StageContext, plan: Plan, copy: Path) -> None:
    """Upload the files that the plan names, and nothing else: each a plain file whose content has the plan's digest.

    ``process`` parsed untrusted media, and this step has credentials: a link that an attacker made ``process`` leave
    could point at them.
    """
    left = most_prepared_bytes(context.stage_input.limits)
    for done, (name, file) in enumerate(plan.files.items()):
        context.reporter.report(Stage.PREPARE, 0.8 + 0.15 * done / len(plan.files), f"Writing {name}")
        folder, path = _source(context, name)
        try:
            left -= copy_plain(folder, path, copy, file.sha256, left)
        except UntrustedError as error:
            raise refused(f"{name} {error}") from None
        context.workspace.put(plan.stored_name(name), copy)
        copy.unlink()


def _source(context: StageContext, name: str) -> tuple[Path, str]:
    """Folder and path of a file of the plan: a LoRA is an input as it was fetched, everything else was prepared."""
    for lora in fetched_loras(context.stage_input):
        if name == lora_name(lora.index):
            return inputs_folder(context.scratch), lora.name
    return prepared_folder(context.scratch), name
