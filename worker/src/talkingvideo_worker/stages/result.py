"""Delivery of a result: whether it exists already, who owns its name, and how its files are written.

The description (``.json``) is written first. It says which video follows, so that a stage that is killed half-way
recognises its own files when it runs again. The video is written next, and only if its name is free. The description is
written once more at the end: when two stages deliver different videos under one name, the description of the stage whose
video was first is the right one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import Plan
from talkingvideo_api.reports import Artifact, StitchReport
from talkingvideo_clients.stores.base import FileInfo
from talkingvideo_worker.media.join import JoinedVideo
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.description import content_key, describe, read_description
from talkingvideo_worker.stages.result_files import ARTIFACTS, DESCRIPTION, VIDEO, ResultFile


def existing_result(context: StageContext, plan: Plan) -> StitchReport | None:
    """The report of an existing, complete result of the same content; None when the result has to be made or replaced.

    Raises:
        StageError: E_OUTPUT_EXISTS when another video has the name and must not be replaced.
    """
    store, stem = context.result
    stored = store.stat(f"{stem}{VIDEO.suffix}")
    if stored is None:
        return None
    description = read_description(store, f"{stem}{DESCRIPTION.suffix}")
    if (
        description is not None
        and description.content_key == content_key(context, plan)
        and _is_video_of(description.report, stored)
    ):
        complete = all(store.stat(f"{stem}{file.suffix}") is not None for file in ARTIFACTS)
        return _as_it_lies_here(context, description.report) if complete else None
    if context.stage_input.effective.overwrite:
        return None
    raise _output_exists(f"{_uri(context, VIDEO)} already exists")


def deliver(
    context: StageContext, plan: Plan, joined: JoinedVideo, video: Path, artifacts: Mapping[ResultFile, Path]
) -> StitchReport:
    """Write the result's files, unless another stage has delivered the same video in the meantime.

    Args:
        context: What the stage runs with.
        plan: The plan.
        joined: Properties of the video.
        video: The mp4.
        artifacts: The files beside it.

    Raises:
        StageError: E_UPLOAD, E_STORE_ACCESS or E_OUTPUT_EXISTS.
    """
    if (existing := existing_result(context, plan)) is not None:
        return existing
    report = StitchReport(
        uri=_uri(context, VIDEO),
        url=_url(context),
        artifacts={
            file.name: Artifact(uri=_uri(context, file), media_type=file.media_type)
            for file in (*artifacts, DESCRIPTION)
        },
        bytes=joined.bytes,
        sha256=joined.sha256,
        width=plan.delivered_width,
        height=plan.delivered_height,
        frame_count=joined.frames,
        duration_seconds=joined.seconds,
    )
    description = context.scratch / "result.json"
    description.write_text(describe(context, plan, report), encoding="utf-8")
    with _upload_failures():
        _put(context, DESCRIPTION, description)
        _put_video(context, video, report)
        for file, path in artifacts.items():
            _put(context, file, path)
        _put(context, DESCRIPTION, description)
    return report


def _put(context: StageContext, file: ResultFile, path: Path) -> None:
    store, stem = context.result
    store.put(f"{stem}{file.suffix}", path)


def _put_video(context: StageContext, path: Path, report: StitchReport) -> None:
    """Write the video. An existing one with the same bytes, from an earlier attempt, is kept."""
    if context.stage_input.effective.overwrite:
        _put(context, VIDEO, path)
        return
    store, stem = context.result
    name = f"{stem}{VIDEO.suffix}"
    if not store.put_new(name, path) and not _is_video_of(report, store.stat(name)):
        raise _output_exists(f"{store.uri(name)} was written by another stage in the meantime")


def _is_video_of(report: StitchReport, stored: FileInfo | None) -> bool:
    """Whether a file in the store is the video of a report."""
    return stored is not None and stored.bytes == report.bytes and stored.sha256 in (None, report.sha256)


def _output_exists(reason: str) -> StageError:
    message = f"{reason}: choose another output.name, or set output.overwrite."
    return StageError(ErrorCode.OUTPUT_EXISTS, message, field="spec.output.name")


def _uri(context: StageContext, file: ResultFile) -> str:
    store, stem = context.result
    return store.uri(f"{stem}{file.suffix}")


def _as_it_lies_here(context: StageContext, report: StitchReport) -> StitchReport:
    """The report of a result with the addresses of today: its bucket may have been copied."""
    uris = {
        file.name: Artifact(uri=_uri(context, file), media_type=file.media_type) for file in (*ARTIFACTS, DESCRIPTION)
    }
    return report.model_copy(update={"uri": _uri(context, VIDEO), "url": _url(context), "artifacts": uris})


def _url(context: StageContext) -> str | None:
    """HTTP address of the video, if the profile says that the store is public."""
    base = context.stage_input.locations.public_base_url
    key = _uri(context, VIDEO).partition("://")[2].partition("/")[2]
    return f"{base.rstrip('/')}/{quote(key)}" if base else None


@contextmanager
def _upload_failures() -> Iterator[None]:
    """Report failures of the store as failures of the delivery (E_UPLOAD), not of the workspace."""
    try:
        yield
    except StageError as error:
        if error.code is not ErrorCode.WORKSPACE:
            raise
        raise StageError(ErrorCode.UPLOAD, error.message, field=error.field) from error
