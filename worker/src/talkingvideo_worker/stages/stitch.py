"""stitch: the finished chunks and the sound become the result, in its place.

Every step can be repeated: joining is deterministic, the result's files are whole or absent, and ``report.json`` in the
workspace, written last, makes a repeated stage repeat its report.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from pydantic import ValidationError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan
from talkingvideo_api.reports import StitchReport
from talkingvideo_worker.media.check import check
from talkingvideo_worker.media.join import Joined, join
from talkingvideo_worker.media.thumbnail import thumbnail
from talkingvideo_worker.stages.chunk_files import segment_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stores.base import MissingFileError

REPORT_NAME = "report.json"
SOUND_NAME = "sound.m4a"


def stitch(context: StageContext) -> StitchReport:
    """Join, check and deliver.

    Raises:
        StageError: E_WORKSPACE when a chunk is gone, E_FFMPEG when the file is not what it should be, E_UPLOAD,
            E_STORE_ACCESS or E_OUTPUT_EXISTS when it cannot be put in its place.
    """
    if (known := _earlier_report(context)) is not None:
        return known
    plan = context.require_plan()
    video, picture = context.scratch / "result.mp4", context.scratch / "result.jpg"
    joined = _join(context, plan, video)
    context.reporter.report(Stage.STITCH, 0.8, "Checking the result")
    check(video, plan.frames, plan.delivered_width, plan.delivered_height, plan.sound_seconds)
    thumbnail(video, picture)
    context.reporter.report(Stage.STITCH, 0.9, "Writing the result")
    return _deliver(context, plan, joined, video, picture)


def content_key(plan: Plan, consent: str | None) -> str:
    """Identify what a result holds: two results with one key are the same video."""
    document = [[chunk.key for chunk in plan.chunks], plan.sound_digest, plan.frames, consent]
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def earlier_result(context: StageContext, plan: Plan) -> StitchReport | None:
    """The report beside an existing result of the same content, or None when the place is free.

    Raises:
        StageError: E_OUTPUT_EXISTS when another video has the name and may not be replaced.
    """
    store, stem = context.result()
    if store.stat(f"{stem}.mp4") is None:
        return None
    try:
        document = json.loads(store.read(f"{stem}.json"))
        if document["contentKey"] == content_key(plan, context.order.spec.consent_reference):
            return StitchReport.model_validate(document["output"])
    except (MissingFileError, ValueError, KeyError, TypeError, ValidationError):
        pass
    if context.order.effective.overwrite:
        return None
    message = f"{store.uri(stem)}.mp4 exists already: choose another output.name, or set output.overwrite."
    raise StageError(ErrorCode.OUTPUT_EXISTS, message, field="spec.output.name")


def _earlier_report(context: StageContext) -> StitchReport | None:
    """The report of an earlier run of this stage, unless its result was removed since."""
    try:
        report = StitchReport.model_validate_json(context.workspace.read(REPORT_NAME))
    except (MissingFileError, ValidationError):
        return None
    store, stem = context.result()
    stored = store.stat(f"{stem}.mp4")
    return report if stored is not None and stored.sha256 in (None, report.sha256) else None


def _join(context: StageContext, plan: Plan, video: Path) -> Joined:
    sound = context.scratch / SOUND_NAME
    context.workspace.get(SOUND_NAME, sound)
    order = context.order
    metadata = {
        "title": order.name,
        "generator": f"talkingvideo {version('talkingvideo-worker')}, engine {order.effective.engine}",
        "object": f"{order.namespace}/{order.name}, revision {order.revision}",
    }
    if order.spec.consent_reference:
        metadata["consent"] = order.spec.consent_reference
    return join(_segments(context, plan), sound, video, metadata)


def _segments(context: StageContext, plan: Plan) -> Iterator[Path]:
    """Fetch the segments one by one; each is removed when the next is asked for."""
    total = sum(len(chunk.windows) for chunk in plan.chunks)
    done, path = 0, context.scratch / "segment.mp4"
    for chunk in plan.chunks:
        for window in range(len(chunk.windows)):
            try:
                context.chunks.get(segment_name(chunk.key, window), path)
            except MissingFileError as error:
                message = f"Chunk {chunk.index} is not complete in the store: segment {window} is missing."
                raise StageError(ErrorCode.WORKSPACE, message) from error
            yield path
            path.unlink(missing_ok=True)
            done += 1
            context.reporter.report(Stage.STITCH, 0.8 * done / total, "Joining")


def _deliver(context: StageContext, plan: Plan, joined: Joined, video: Path, picture: Path) -> StitchReport:
    """Put the files in their places: the video, its thumbnail, its description, and last the workspace's report."""
    earlier_result(context, plan)
    store, stem = context.result()
    base = context.order.places.public_base_url
    report = StitchReport(
        uri=store.uri(f"{stem}.mp4"),
        url=f"{base.rstrip('/')}/{quote(_key_of(store.uri(f'{stem}.mp4')))}" if base else None,
        thumbnail_uri=store.uri(f"{stem}.jpg"),
        report_uri=store.uri(f"{stem}.json"),
        bytes=joined.bytes,
        sha256=joined.sha256,
        width=plan.delivered_width,
        height=plan.delivered_height,
        frame_count=joined.frames,
        duration_seconds=joined.seconds,
    )
    description = _write(context.scratch / "result.json", _description(context, plan, report))
    with _upload_failures():
        _put_video(context, video, joined)
        store.put(f"{stem}.jpg", picture)
        store.put(f"{stem}.json", description)
    context.workspace.put(REPORT_NAME, _write(context.scratch / REPORT_NAME, report.to_json()))
    return report


def _put_video(context: StageContext, video: Path, joined: Joined) -> None:
    """Put the video there; one of the same bytes, from an earlier attempt, is as good."""
    store, stem = context.result()
    name = f"{stem}.mp4"
    if context.order.effective.overwrite:
        store.put(name, video)
        return
    if store.put_new(name, video):
        return
    stored = store.stat(name)
    if stored is None or stored.sha256 != joined.sha256:
        message = f"{store.uri(name)} was written by somebody else in the meantime: choose another output.name."
        raise StageError(ErrorCode.OUTPUT_EXISTS, message, field="spec.output.name")


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
    order = context.order
    document = {
        "aiGenerated": True,
        "generator": {"name": "talkingvideo", "version": version("talkingvideo-worker")},
        "object": {"namespace": order.namespace, "name": order.name, "uid": order.uid, "revision": order.revision},
        "consentReference": order.spec.consent_reference,
        "contentKey": content_key(plan, order.spec.consent_reference),
        "output": report.to_dict(),
        "effective": order.effective.to_dict(),
        "rendered": {"width": plan.width, "height": plan.height},
        "chunks": [
            {"index": chunk.index, "startFrame": chunk.start_frame, "frames": chunk.frames, "key": chunk.key}
            for chunk in plan.chunks
        ],
        "found": plan.found,
        "warnings": plan.warnings,
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _key_of(uri: str) -> str:
    """The key in ``s3://bucket/key``, the path in ``pvc://claim/path``."""
    return uri.partition("://")[2].partition("/")[2]
