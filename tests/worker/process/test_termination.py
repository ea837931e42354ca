"""How a stage ends."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import FailureReport, decode_report
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.process.termination import format_trace, to_stage_error, write_report
from talkingvideo_worker.stages.context import read_stage_input

SECRET = "https://bucket.example/face.png?X-Amz-Signature=0123456789abcdef"


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_a_failure_is_left_where_the_kubelet_looks(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.touch()
    write_report(FailureReport.of(StageError(ErrorCode.DOWNLOAD_FAILED, "gone", field="spec.source.image.uri")), log)
    report = decode_report(log.read_text())
    assert isinstance(report, FailureReport)
    assert (report.code, report.message) == (ErrorCode.DOWNLOAD_FAILED, "gone")


def test_outside_a_pod_nothing_is_left(tmp_path: Path) -> None:
    write_report(FailureReport.of(StageError(ErrorCode.OOM, "full")), tmp_path / "none")
    assert list(tmp_path.iterdir()) == []


def test_the_text_of_an_unexpected_error_is_never_repeated() -> None:
    error = raised(RuntimeError(f"could not open {SECRET}"), raised(ValueError(SECRET)))
    assert "Signature" not in str(to_stage_error(error)) + format_trace(error)
    assert to_stage_error(error).code is ErrorCode.INTERNAL


def test_a_trace_says_where_and_what_and_why_the_system_refused() -> None:
    trace = format_trace(
        raised(RuntimeError("x"), raised(PermissionError(errno.EACCES, "Permission denied", "/secret")))
    )
    assert trace.index("PermissionError: Permission denied") < trace.index("RuntimeError")
    assert "test_termination.py" in trace
    assert "/secret" not in trace


def test_a_missing_package_is_named_with_the_extra_to_install() -> None:
    error = to_stage_error(raised(ModuleNotFoundError("No module named 'huggingface_hub'", name="huggingface_hub")))
    assert error.code is ErrorCode.NOT_SUPPORTED
    assert "huggingface_hub" in error.message and "extra" in error.message


def test_a_missing_module_of_our_own_is_a_defect() -> None:
    missing = ModuleNotFoundError("No module named 'talkingvideo_worker.x'", name="talkingvideo_worker.x")
    assert to_stage_error(raised(missing)).code is ErrorCode.INTERNAL


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), ErrorCode.OOM),
        (raised(RuntimeError(), raised(MemoryError())), ErrorCode.OOM),
        (OSError(errno.ENOSPC, "No space left on device"), ErrorCode.WORKSPACE),
        (
            raised(StageError(ErrorCode.FFMPEG, "Encoding failed"), raised(OSError(errno.ENOSPC, "full"))),
            ErrorCode.WORKSPACE,
        ),
        (raised(StageError(ErrorCode.UPLOAD, "full"), raised(OSError(errno.ENOSPC, "full"))), ErrorCode.UPLOAD),
        (StageError(ErrorCode.FFMPEG, "x"), ErrorCode.FFMPEG),
        (OSError(errno.EIO, "Input/output error"), ErrorCode.INTERNAL),
    ],
)
def test_every_error_has_its_row(error: Exception, code: ErrorCode) -> None:
    assert to_stage_error(error).code is code


def test_an_invalid_stage_input_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "stage-input.json"
    path.write_text(f'{{"version": 9, "spec": {{"source": {{"image": {{"url": "{SECRET}"}}}}}}}}')
    with pytest.raises(StageError, match="the same release") as refused:
        read_stage_input(path)
    assert "Signature" not in str(refused.value)
    assert "version" in str(refused.value)
    assert StageInput.model_fields["version"].default == 1
