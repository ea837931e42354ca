"""Output for people."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from talkingvideo_api.names import Stage
from talkingvideo_api.reports import PrepareReport, encode_bitmap
from talkingvideo_worker.process.terminal import TerminalReporter, print_message


def plan(missing: list[int]) -> PrepareReport:
    return PrepareReport(
        plan_digest="d" * 64,
        chunk_frames=(100, 300, 100),
        missing=encode_bitmap(missing, 3),
        width=64,
        height=64,
        delivered_width=64,
        delivered_height=64,
    )


@pytest.mark.parametrize("missing", [[0, 1, 2], [1], [0, 2], []])
def test_the_bar_only_ever_goes_forward_and_ends_full(missing: list[int]) -> None:
    reporter, seen = TerminalReporter("hello", Console(file=io.StringIO())), list[float]()

    def report(stage: Stage, fraction: float, chunk: int | None = None) -> None:
        reporter.report(stage, fraction, "Working", chunk)
        seen.append(reporter.completed)

    for fraction in (0.0, 0.5, 0.95):
        report(Stage.PREPARE, fraction)
    reporter.expect(plan(missing))
    for chunk in missing:
        for fraction in (0.0, 0.5, 1.0):
            report(Stage.RENDER, fraction, chunk)
    for fraction in (0.0, 1.0):
        report(Stage.STITCH, fraction)
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_a_chunk_counts_by_its_frames() -> None:
    reporter = TerminalReporter("hello", Console(file=io.StringIO()))
    reporter.expect(plan([0, 1]))
    reporter.report(Stage.RENDER, 1.0, "Window", 1)
    assert reporter.completed == pytest.approx(0.1 + 0.85 * 0.75)


def test_a_sentence_moves_no_cursor_and_writes_to_no_clipboard(capsys: pytest.CaptureFixture[str]) -> None:
    print_message("a\x1b]52;c;ZXZpbA==\x07b\x9b2J\u202e\rc\nd")
    assert capsys.readouterr().err == "a ]52;c;ZXZpbA== b 2J  c\nd\n"


def test_a_sentence_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = f"/home/[bold]me[/bold]/{'a long path/' * 20}:smile: [link=x]"
    print_message(sentence)
    assert capsys.readouterr().err == f"{sentence}\n"
