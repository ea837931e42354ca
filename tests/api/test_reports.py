"""Documents between stages and operator."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_api.errors import ERRORS, EXIT_STATUSES, ErrorCode, StageError
from talkingvideo_api.names import Stage
from talkingvideo_api.reports import (
    MAX_TERMINATION_BYTES,
    Artifact,
    FailureReport,
    PrepareReport,
    ProgressLine,
    RenderReport,
    StitchReport,
    decode_bitmap,
    decode_report,
    encode_bitmap,
    encode_report,
)
from talkingvideo_api.texts import printable


@given(st.sets(st.integers(0, 499)))
def test_a_bitmap_gives_back_its_indices(indices: set[int]) -> None:
    assert decode_bitmap(encode_bitmap(indices, 500), 500) == sorted(indices)


def report_of_many_chunks(**changes: Any) -> PrepareReport:
    return PrepareReport(
        plan_digest="f" * 64,
        chunk_frames=(15_000,) * 500,
        missing=encode_bitmap(range(500), 500),
        width=1920,
        height=1088,
        delivered_width=1920,
        delivered_height=1080,
        **changes,
    )


def test_a_plan_of_five_hundred_chunks_fits_into_a_termination_message_whatever_the_warnings() -> None:
    report = report_of_many_chunks(
        warnings=("Das Gesicht ist zur Seite gedreht – ein Bild von vorne sieht besser aus.",) * 40,
    )
    text = encode_report(report)
    assert len(text.encode()) < MAX_TERMINATION_BYTES
    decoded = decode_report(text)
    assert isinstance(decoded, PrepareReport)
    assert decoded.chunk_frames == report.chunk_frames


def test_modes_of_finished_chunks_are_told_unless_the_chunks_themselves_need_the_room() -> None:
    modes = tuple(f"FP8, {count} of 40 blocks resident" for count in range(40))
    report = report_of_many_chunks(
        memory_modes=modes,
        warnings=("It is dark.",),
    )
    decoded = decode_report(encode_report(report))
    assert isinstance(decoded, PrepareReport) and decoded.memory_modes is not None
    told = len(decoded.memory_modes)
    assert 8 <= told < 40
    assert decoded == report.model_copy(update={"warnings": (), "memory_modes": modes[:told]})


def test_a_failure_survives_the_way_to_the_operator() -> None:
    error = StageError(ErrorCode.DOWNLOAD_FAILED, "404 " + "x" * 9_000, field="spec.source.image.uri", retryable=False)
    decoded = decode_report(encode_report(FailureReport.of(error)))
    assert isinstance(decoded, FailureReport)
    assert (decoded.code, decoded.field) == (ErrorCode.DOWNLOAD_FAILED, "spec.source.image.uri")
    assert not decoded.retryable


@given(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=3_000),
    st.sampled_from([None, "spec.speech.speakers[0].audio.uri"]),
)
def test_a_failure_fits_whatever_letters_its_sentence_has(sentence: str, field: str | None) -> None:
    text = encode_report(FailureReport.of(StageError(ErrorCode.FFMPEG, sentence, field=field)))
    assert len(text.encode()) < MAX_TERMINATION_BYTES
    decoded = decode_report(text)
    assert isinstance(decoded, FailureReport)
    said = decoded.message
    shown = printable(sentence)
    assert said == shown or (said.endswith("…") and shown.startswith(said[:-1]))


def test_a_failure_of_a_thousand_wide_letters_keeps_most_of_its_sentence() -> None:
    text = encode_report(FailureReport.of(StageError(ErrorCode.FFMPEG, "\U0001f3ac" * 1_200)))
    decoded = decode_report(text)
    assert isinstance(decoded, FailureReport)
    assert len(decoded.message) > 500


def test_a_rendered_chunk_fits_whatever_its_warnings_and_keeps_how_it_was_made() -> None:
    report = RenderReport(
        chunk=3,
        key="f" * 64,
        frames=1_125,
        memory_mode="offload",
        peak_gpu_bytes=10**11,
        gpus=8,
        warnings=("ü" * 900,) * 9,
    )
    text = encode_report(report)
    assert len(text.encode()) < MAX_TERMINATION_BYTES
    decoded = decode_report(text)
    assert isinstance(decoded, RenderReport)
    assert decoded == report.model_copy(update={"warnings": report.warnings[:2]})


def test_a_result_fits_whatever_its_key_and_keeps_its_uri() -> None:
    uri = "s3://bucket/" + "口" * 340
    report = StitchReport(
        uri=f"{uri}.mp4",
        url="https://cdn.example/" + "%E5%8F%A3" * 340,
        artifacts={
            "thumbnail": Artifact(uri=f"{uri}.jpg", media_type="image/jpeg"),
            "report": Artifact(uri=f"{uri}.json", media_type="application/json"),
        },
        bytes=10**12,
        sha256="f" * 64,
        width=1920,
        height=1080,
        frame_count=180_000,
        duration_seconds=7_200.0,
    )
    decoded = decode_report(encode_report(report))
    assert isinstance(decoded, StitchReport)
    assert decoded.uri == report.uri


def test_what_is_no_message_is_none() -> None:
    for text in (None, "", "Killed", '{"kind":', '{"foreign": 1}', "{}", '{"kind": "prepare"}', '{"kind": "another"}'):
        assert decode_report(text) is None


def test_a_result_without_its_thumbnail_and_report_is_no_message() -> None:
    text = (
        '{"kind":"stitch","uri":"s3://b/a.mp4","artifacts":{},"bytes":1,"sha256":"0","width":2,"height":2,'
        '"frameCount":1,"durationSeconds":0.04}'
    )
    assert decode_report(text) is None


def test_the_latest_progress_is_found_among_other_lines() -> None:
    log = 'loading\n{"progress":{"stage":"render","fraction":0.25,"chunk":3}}\n{"progress":\nTraceback\n'
    progress = ProgressLine.latest(log)
    assert progress is not None
    assert (progress.stage, progress.fraction, progress.chunk) == (Stage.RENDER, 0.25, 3)


def test_every_code_has_an_exit_status_of_its_own() -> None:
    assert set(ERRORS) == set(ErrorCode)
    assert len(EXIT_STATUSES) == len(ERRORS)
    assert all(1 < status < 126 for status in EXIT_STATUSES)
