"""What ``talkingvideo plan`` prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.api.objects import video

from talkingvideo_api.names import Stage
from talkingvideo_api.plan import Plan, PlannedChunk, PlannedFile
from talkingvideo_api.reports import Estimate, PrepareReport, encode_bitmap
from talkingvideo_worker.local.locations import LocalLocations
from talkingvideo_worker.local.plan_output import PlannedVideo, print_json, print_table
from talkingvideo_worker.local.run import LocalPlan
from talkingvideo_worker.local.stage_inputs import make_stage_input

DIGEST = "0" * 64
SILENCE = (99 * 640, 121 * 640)
"""0.88 s around frame 100, at 16 kHz."""


def planned(folder: Path, *, chained: bool = False, warnings: tuple[str, ...] = ()) -> PlannedVideo:
    """Three chunks, the first of which is finished; it ends in silence."""
    lengths = ((81, 19), (81,), (1_600,))
    starts = (0, 100, 181)
    chunks = tuple(
        PlannedChunk(index=index, start_frame=start, windows=windows, first_window=index, key=DIGEST)
        for index, (start, windows) in enumerate(zip(starts, lengths, strict=True))
    )
    plan = Plan(
        effective_digest=DIGEST,
        files={"picture.png": PlannedFile(sha256=DIGEST, used_by=(Stage.RENDER,))},
        picture="picture.png",
        tracks=(),
        frames=1_781,
        width=640,
        height=640,
        delivered_width=720,
        delivered_height=704,
        sound_seconds=71.24,
        engine_digest="e",
        chunks=chunks,
    )
    report = PrepareReport(
        plan_digest=DIGEST,
        chunk_frames=tuple(chunk.frames for chunk in chunks),
        missing=encode_bitmap([1, 2], 3),
        width=640,
        height=640,
        delivered_width=720,
        delivered_height=704,
        estimate=Estimate(windows=2, gpu_seconds=61.5),
        chained=chained,
    )
    stage_input = make_stage_input(video(engine="preview"), "preview", LocalLocations(folder / "out", folder / "work"))
    return PlannedVideo(stage_input, LocalPlan(report, plan, (SILENCE,)), warnings)


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_a_table_says_what_will_be_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(planned(tmp_path, warnings=("the [face] is small",)))
    assert lines(capsys.readouterr().out) == [
        "hello",
        "duration 1:11.24, 1781 frames at 25 frames per second",
        "size 640x640 rendered, 720x704 delivered",
        "engine preview",
        "chunks 3",
        "to render 2 windows, 62 s of GPU time",
        "",
        "CHUNK START LENGTH FRAMES WINDOWS ENDS STATE",
        "1 0:00.00 0:04.00 100 2 in 0.88 s of silence finished",
        "2 0:04.00 0:03.24 81 1 outside silence to render",
        "3 0:07.24 1:04.00 1600 1 with the video to render",
        "warning: the [face] is small",
        "",
    ]


def test_chunks_that_continue_each_other_end_with_windows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(planned(tmp_path, chained=True))
    printed = lines(capsys.readouterr().out)
    assert "chunks 3, each of which continues the one before it" in printed
    assert "1 0:00.00 0:04.00 100 2 with a window finished" in printed


def test_a_narrow_terminal_loses_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(planned(tmp_path))
    assert "2 0:04.00 0:03.24 81 1 outside silence to render" in lines(capsys.readouterr().out)


def test_json_is_the_report_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = planned(tmp_path, warnings=("the face is small",))
    print_json(made)
    printed = capsys.readouterr()
    assert PrepareReport.model_validate(json.loads(printed.out)) == made.made.report
    assert printed.err == "warning: the face is small\n"
