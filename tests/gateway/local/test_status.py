"""The status of a local run, from its lines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from talkingvideo_api.conditions import Phase
from talkingvideo_api.effective import resolve
from talkingvideo_api.errors import ErrorCode
from talkingvideo_api.names import Stage
from talkingvideo_api.profile import Profile, PvcStore, Store
from talkingvideo_api.reports import (
    Artifact,
    FailureReport,
    PrepareReport,
    Progress,
    ProgressLine,
    RenderReport,
    StitchReport,
    encode_bitmap,
)
from talkingvideo_api.run_lines import ReportLine, RunLine, Started, StartedLine, decode_line
from talkingvideo_api.spec import TalkingVideoSpec
from talkingvideo_api.status import TalkingVideoStatus
from talkingvideo_gateway.local.status import after_line, cancelled, interrupted, planned

START = datetime(2026, 1, 1, tzinfo=UTC)
FRAMES = (100, 100, 50)


def started() -> StartedLine:
    spec = TalkingVideoSpec.model_validate(
        {"source": {"image": {"uri": "data:,"}}, "speech": {"speakers": [{"text": "Hello"}]}}
    )
    profile = Profile(worker_image="local", engine="preview", stores={"default": Store(pvc=PvcStore(claim="local"))})
    effective = resolve(spec, profile, profile_name="local", uid="u", revision="0" * 8)
    return StartedLine(started=Started(revision="0" * 8, effective=effective, warnings=("ignored",)))


def prepared(missing: tuple[int, ...] = (0, 1, 2)) -> ReportLine:
    report = PrepareReport(
        plan_digest="0" * 64,
        chunk_frames=FRAMES,
        missing=encode_bitmap(missing, len(FRAMES)),
        width=640,
        height=640,
        delivered_width=320,
        delivered_height=320,
        warnings=("cut",),
    )
    return ReportLine(report=report)


def progress(chunk: int, fraction: float) -> ProgressLine:
    return ProgressLine(progress=Progress(stage=Stage.RENDER, fraction=fraction, message="Window 1 of 2", chunk=chunk))


def rendered(chunk: int) -> ReportLine:
    return ReportLine(report=RenderReport(chunk=chunk, key="1" * 64, frames=FRAMES[chunk], gpu_seconds=2))


def stitched() -> ReportLine:
    artifacts = {
        "thumbnail": Artifact(uri="file:///v.jpg", media_type="image/jpeg"),
        "report": Artifact(uri="file:///v.json", media_type="application/json"),
    }
    report = StitchReport(
        uri="file:///v.mp4",
        artifacts=artifacts,
        bytes=10,
        sha256="2" * 64,
        width=320,
        height=320,
        frame_count=250,
        duration_seconds=10,
    )
    return ReportLine(report=report)


def failed() -> ReportLine:
    return ReportLine(
        report=FailureReport(
            code=ErrorCode.INPUT_VALIDATION, message="It is no picture.", field="spec.x", retryable=False
        )
    )


def after(*lines: RunLine) -> TalkingVideoStatus:
    """The status after lines that came a second apart."""
    status = TalkingVideoStatus()
    for number, line in enumerate(lines):
        status = after_line(status, line, START + timedelta(seconds=number))
    return status


@pytest.mark.parametrize(
    ("lines", "phase", "percent", "done"),
    [
        ((started(),), Phase.PREPARING, 0, None),
        ((started(), prepared()), Phase.RENDERING, 5, 0),
        ((started(), prepared(), progress(0, 0.5)), Phase.RENDERING, 23, 0),
        ((started(), prepared(), rendered(0)), Phase.RENDERING, 41, 1),
        ((started(), prepared(), rendered(0), progress(1, 0.5)), Phase.RENDERING, 59, 1),
        ((started(), prepared((2,)), rendered(2)), Phase.STITCHING, 95, 3),
        ((started(), prepared(())), Phase.STITCHING, 5, 3),
        ((started(), prepared((2,)), rendered(2), stitched()), Phase.SUCCEEDED, 100, 3),
        ((started(), failed()), Phase.FAILED, 0, None),
        ((started(), prepared(), rendered(0), failed()), Phase.FAILED, 41, 1),
    ],
)
def test_each_line_brings_the_video_on(
    lines: tuple[RunLine, ...], phase: Phase, percent: int, done: int | None
) -> None:
    status = after(*lines)

    assert (status.phase, status.progress) == (phase, percent)
    assert (status.chunks and status.chunks.done) == done


def test_what_is_written_can_be_read_again() -> None:
    status = after(started(), prepared((1, 2)), progress(1, 0.3), rendered(1), rendered(2), stitched())

    assert TalkingVideoStatus.model_validate(status.to_dict()) == status


def long_revision() -> StartedLine:
    return started().model_copy(update={"started": started().started.model_copy(update={"revision": "0" * 1_000})})


@pytest.mark.parametrize(
    ("line", "later"),
    [
        (rendered(1).model_copy(update={"report": RenderReport(chunk=7, key="1" * 64, frames=1)}), timedelta()),
        (rendered(1).model_copy(update={"report": RenderReport(chunk=499, key="1" * 64, frames=1)}), timedelta()),
        (long_revision(), timedelta()),
        (progress(0, 0.02), timedelta(days=365 * 5)),
        (progress(0, 0.02), timedelta(days=365 * 100)),
    ],
    ids=["a chunk too many", "a chunk of another video", "a long digest", "an end in years", "an end in centuries"],
)
def test_whatever_a_line_says_the_status_can_be_read_again_and_keeps_what_it_has(
    line: RunLine, later: timedelta
) -> None:
    status = after_line(after(started(), prepared(), rendered(0)), line, START + later)

    assert TalkingVideoStatus.model_validate(status.to_dict()) == status
    assert status.chunks is not None
    assert status.chunks.done == 1


def test_a_finished_video_says_what_it_took() -> None:
    status = after(started(), prepared(), rendered(0), rendered(1), rendered(2), stitched())

    assert status.output is not None
    assert status.output.thumbnail_uri == "file:///v.jpg"
    assert status.timings is not None
    assert (status.timings.preparing_seconds, status.timings.rendering_seconds) == (1, 3)
    assert status.timings.total_seconds == 5
    assert status.usage is not None
    assert status.usage.gpu_seconds == 6
    assert status.warnings == ("ignored", "cut")


def test_a_failure_names_its_field() -> None:
    failure = after(started(), failed()).failure

    assert failure is not None
    assert (failure.code, failure.field, failure.message) == (
        ErrorCode.INPUT_VALIDATION,
        "spec.x",
        "It is no picture.",
    )


def test_end_is_estimated_from_the_rate_so_far() -> None:
    assert after(started(), prepared()).estimated_completion_time is None
    # 50 of 250 frames in one second: four more seconds.
    assert after(started(), prepared(), progress(0, 0.5)).estimated_completion_time == START + timedelta(seconds=6)


def test_a_killed_run_can_be_retried() -> None:
    status = interrupted(after(started(), prepared()), -9, START)

    assert status.phase is Phase.FAILED
    assert status.failure is not None
    assert status.failure.retryable


def test_a_cancelled_run_keeps_what_it_has() -> None:
    status = cancelled(after(started(), prepared(), rendered(0)), START)

    assert (status.phase, status.chunks and status.chunks.done) == (Phase.CANCELLED, 1)


def test_a_dry_run_ends_with_its_plan() -> None:
    status = planned(after(started(), prepared()), START)

    assert (status.phase, status.chunks and status.chunks.total) == (Phase.SUCCEEDED, 3)


@pytest.mark.parametrize("line", [started(), prepared(), progress(0, 0.5), rendered(1), stitched(), failed()])
def test_lines_are_read_as_they_were_printed(line: RunLine) -> None:
    assert decode_line(line.to_json()) == line


@pytest.mark.parametrize("text", ["", "a library's message", '{"progress":', '{"report":{"kind":"stitch"}}', "{}"])
def test_other_lines_are_none(text: str) -> None:
    assert decode_line(text) is None
