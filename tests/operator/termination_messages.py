"""Reports of successful stages, for tests that play the pods."""

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
    result: str = "s3://media/ns/hello",
) -> Report:
    """The report of a successful stage.

    Args:
        stage: The stage.
        chunks: Chunks of the video, 100 frames each.
        chunk: The chunk that was rendered.
        missing: Chunks that prepare did not find finished; all of them when None.
        chained: Whether each chunk continues the one before.
        result: URI of the result, without suffix.
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
        return RenderReport(chunk=chunk or 0, key="a" * 64, frames=100)
    return StitchReport(
        uri=f"{result}.mp4",
        artifacts={
            "thumbnail": Artifact(uri=f"{result}.jpg", media_type="image/jpeg"),
            "report": Artifact(uri=f"{result}.json", media_type="application/json"),
        },
        bytes=10,
        sha256="0" * 64,
        width=480,
        height=480,
        frame_count=100 * chunks,
        duration_seconds=4.0 * chunks,
    )
