"""Reports of successful stages, for tests that play the part of the pods."""

from __future__ import annotations

from collections.abc import Iterable

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import Artifact, PrepareReport, RenderReport, Report, StitchReport, encode_bitmap


def success_report(
    stage: Stage,
    chunks: int,
    chunk: int | None,
    missing: Iterable[int] | None = None,
    *,
    chained: bool = False,
) -> Report:
    """The report of a successful stage.

    Args:
        stage: The stage.
        chunks: Chunks of the video, 100 frames each.
        chunk: The chunk that was rendered.
        missing: Chunks that prepare did not find finished; all of them when absent.
        chained: Whether each chunk goes on from the one before.
    """
    if stage is Stage.PREPARE:
        return PrepareReport(
            plan_digest="d" * 64,
            chunk_frames=(100,) * chunks,
            missing=encode_bitmap(range(chunks) if missing is None else missing, chunks),
            width=480,
            height=480,
            delivered_width=480,
            delivered_height=480,
            chained=chained,
        )
    if stage is Stage.RENDER:
        return RenderReport(chunk=chunk or 0, key="k", frames=100)
    return StitchReport(
        uri="s3://media/ns/hello.mp4",
        artifacts={
            "thumbnail": Artifact(uri="s3://media/ns/hello.jpg", media_type="image/jpeg"),
            "report": Artifact(uri="s3://media/ns/hello.json", media_type="application/json"),
        },
        bytes=10,
        sha256="0" * 64,
        width=480,
        height=480,
        frame_count=100 * chunks,
        duration_seconds=4.0 * chunks,
    )
