"""The result in its place: what is there already, whose it is, and how it gets there.

The description (``.json``) is written first: it says whose video comes, so that a stage that is killed before it has
written everything knows its own work again. The video comes next, and only if its name is free. The description is
written once more at the end: of two stages with different videos for one place, the one whose video was first is right.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import Plan, PlannedChunk
from talkingvideo_api.reports import REPORT, THUMBNAIL, Artifact, StitchReport
from talkingvideo_clients.stores.base import FileInfo, MissingFileError, Store
from talkingvideo_worker.media.join import JoinedVideo
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.loras import lora_files
from talkingvideo_worker.stages.segments import rendering_of
from talkingvideo_worker.stages.workspace import SOUND_NAME


@dataclass(frozen=True)
class ResultFile:
    """A kind of file that a result consists of. To add one, add its row to `BESIDE_VIDEO` and make the file in stitch.

    Attributes:
        name: In the stitch report's artifacts.
        suffix: Of its key.
        media_type: MIME type.
    """

    name: str
    suffix: str
    media_type: str


VIDEO = ResultFile("video", ".mp4", "video/mp4")
DESCRIPTION = ResultFile(REPORT, ".json", "application/json")
BESIDE_VIDEO = (ResultFile(THUMBNAIL, ".jpg", "image/jpeg"),)
"""Files that stitch makes beside the video."""

RESULT_FILES = (VIDEO, *BESIDE_VIDEO, DESCRIPTION)


@dataclass(frozen=True)
class _Description:
    """What the description beside a video says about it."""

    content: str
    report: StitchReport


def content_key(plan: Plan, consent: str | None) -> str:
    """Identify what a result holds: two results with one key are the same video."""
    document = [[chunk.key for chunk in plan.chunks], plan.files[SOUND_NAME].sha256, plan.frames, consent]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def is_stored(stored: FileInfo | None, report: StitchReport) -> bool:
    """Whether what a store has is the video of a report."""
    return stored is not None and stored.bytes == report.bytes and stored.sha256 in (None, report.sha256)


def existing_result(context: StageContext, plan: Plan) -> StitchReport | None:
    """The report of an existing, complete result of the same content; None when there is something left to do.

    Raises:
        StageError: E_OUTPUT_EXISTS when another video has the name and may not be replaced.
    """
    store, stem = context.result
    stored = store.stat(f"{stem}{VIDEO.suffix}")
    if stored is None:
        return None
    known = _read_description(store, stem)
    if known is not None and known.content == _content(context, plan) and is_stored(stored, known.report):
        complete = all(store.stat(f"{stem}{file.suffix}") is not None for file in BESIDE_VIDEO)
        return known.report.model_copy(update={"url": _url(context)}) if complete else None
    if context.stage_input.effective.overwrite:
        return None
    raise _taken(f"{store.uri(stem)}{VIDEO.suffix} exists already")


def deliver(
    context: StageContext, plan: Plan, joined: JoinedVideo, video: Path, beside: Mapping[ResultFile, Path]
) -> StitchReport:
    """Put the files in their places, unless somebody else has put the same video there while this one was made.

    Args:
        context: The stage's surroundings.
        plan: What was ordered.
        joined: What was made.
        video: The mp4.
        beside: The files beside it.

    Raises:
        StageError: E_UPLOAD, E_STORE_ACCESS or E_OUTPUT_EXISTS.
    """
    if (known := existing_result(context, plan)) is not None:
        return known
    store, stem = context.result
    report = StitchReport(
        uri=store.uri(f"{stem}{VIDEO.suffix}"),
        url=_url(context),
        artifacts={
            file.name: Artifact(uri=store.uri(f"{stem}{file.suffix}"), media_type=file.media_type)
            for file in (*beside, DESCRIPTION)
        },
        bytes=joined.bytes,
        sha256=joined.sha256,
        width=plan.delivered_width,
        height=plan.delivered_height,
        frame_count=joined.frames,
        duration_seconds=joined.seconds,
    )
    description = context.scratch / "result.json"
    description.write_text(_description(context, plan, report), encoding="utf-8")
    with _upload_failures():
        store.put(f"{stem}{DESCRIPTION.suffix}", description)
        _put_video(context, video, report)
        for file, path in beside.items():
            store.put(f"{stem}{file.suffix}", path)
        store.put(f"{stem}{DESCRIPTION.suffix}", description)
    return report


def _put_video(context: StageContext, video: Path, report: StitchReport) -> None:
    """Put the video there; one of the same bytes, from an earlier attempt, is as good."""
    store, stem = context.result
    name = f"{stem}{VIDEO.suffix}"
    if context.stage_input.effective.overwrite:
        store.put(name, video)
    elif not store.put_new(name, video) and not is_stored(store.stat(name), report):
        raise _taken(f"{store.uri(name)} was written by somebody else in the meantime")


def _taken(what: str) -> StageError:
    message = f"{what}: choose another output.name, or set output.overwrite."
    return StageError(ErrorCode.OUTPUT_EXISTS, message, field="spec.output.name")


def _read_description(store: Store, stem: str) -> _Description | None:
    try:
        document = json.loads(store.read(f"{stem}{DESCRIPTION.suffix}"))
        return _Description(document["contentKey"], StitchReport.model_validate(document["output"]))
    except (MissingFileError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _content(context: StageContext, plan: Plan) -> str:
    return content_key(plan, context.stage_input.spec.consent_reference)


def _url(context: StageContext) -> str | None:
    """Where the video can be watched, if the store is readable by everybody."""
    base, (store, stem) = context.stage_input.locations.public_base_url, context.result
    key = store.uri(f"{stem}{VIDEO.suffix}").partition("://")[2].partition("/")[2]
    return f"{base.rstrip('/')}/{quote(key)}" if base else None


@contextmanager
def _upload_failures() -> Iterator[None]:
    """A store that fails here fails the delivery, not the workspace."""
    try:
        yield
    except StageError as error:
        if error.code is not ErrorCode.WORKSPACE:
            raise
        raise StageError(ErrorCode.UPLOAD, error.message, field=error.field) from error


def _description(context: StageContext, plan: Plan, report: StitchReport) -> str:
    """Everything that made the video, without the inputs' URIs (they may hold signatures)."""
    stage_input = context.stage_input
    document: dict[str, Any] = {
        "aiGenerated": True,
        "generator": {"name": "talkingvideo", "version": version("talkingvideo-worker")},
        "object": {
            "namespace": stage_input.namespace,
            "name": stage_input.name,
            "uid": stage_input.uid,
            "revision": stage_input.revision,
        },
        "consentReference": stage_input.spec.consent_reference,
        "contentKey": _content(context, plan),
        "output": report.to_dict(),
        "effective": stage_input.effective.to_dict() | stage_input.values.to_dict(),
        "loras": [{"source": lora.label, "scale": lora.scale} for lora in lora_files(stage_input, Path(), {})],
        "rendered": {"width": plan.width, "height": plan.height},
        "chunks": [_chunk_description(context, chunk) for chunk in plan.chunks],
        "found": plan.found,
        "warnings": plan.warnings,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _chunk_description(context: StageContext, chunk: PlannedChunk) -> dict[str, Any]:
    """A chunk, and how it was rendered, now or for an earlier video."""
    described = {"index": chunk.index, "startFrame": chunk.start_frame, "frames": chunk.frames, "key": chunk.key}
    rendering = rendering_of(context.chunks, chunk.key)
    return described | ({"rendering": rendering} if rendering else {})
