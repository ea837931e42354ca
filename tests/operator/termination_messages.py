"""What the pods of a well-made video leave behind, wherever a test plays their part."""

from __future__ import annotations

from collections.abc import Iterable

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import PrepareReport, RenderReport, StitchReport, TerminationMessage, encode_bitmap


def last_words(
    stage: Stage,
    chunks: int,
    chunk: int | None,
    missing: Iterable[int] | None = None,
    *,
    chained: bool = False,
) -> TerminationMessage:
    """The termination message of a stage that went well.

    Args:
        stage: The stage.
        chunks: Chunks of the video, 100 frames each.
        chunk: The chunk that was rendered.
        missing: Chunks that prepare did not find finished; all of them when absent.
        chained: Whether each chunk goes on from the one before.
    """
    if stage is Stage.PREPARE:
        prepared = PrepareReport(
            plan_digest="d" * 64,
            chunk_frames=(100,) * chunks,
            missing=encode_bitmap(range(chunks) if missing is None else missing, chunks),
            width=480,
            height=480,
            delivered_width=480,
            delivered_height=480,
            chained=chained,
        )
        return TerminationMessage(prepared=prepared)
    if stage is Stage.RENDER:
        return TerminationMessage(rendered=RenderReport(chunk=chunk or 0, key="k", frames=100))
    stitched = StitchReport(
        uri="s3://media/ns/hello.mp4",
        thumbnail_uri="s3://media/ns/hello.jpg",
        report_uri="s3://media/ns/hello.json",
        bytes=10,
        sha256="0" * 64,
        width=480,
        height=480,
        frame_count=100 * chunks,
        duration_seconds=4.0 * chunks,
    )
    return TerminationMessage(stitched=stitched)
