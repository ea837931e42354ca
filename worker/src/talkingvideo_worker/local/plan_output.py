"""What ``talkingvideo plan`` prints: a table for people, or the report of prepare as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import typer
from rich.console import Console
from rich.table import Table

from talkingvideo_api.plan import PlannedChunk
from talkingvideo_api.reports import Estimate, decode_bitmap
from talkingvideo_api.stage_input import StageInput
from talkingvideo_worker.local.run import LocalPlan
from talkingvideo_worker.process.terminal import print_warnings
from talkingvideo_worker.units import FRAME_RATE, SAMPLE_RATE, SAMPLES_PER_FRAME

LEAST_WIDTH = 80
"""Columns that the table needs; a narrower terminal breaks its lines."""


@dataclass(frozen=True)
class PlannedVideo:
    """A video of which nothing is rendered yet.

    Attributes:
        stage_input: What is to be made.
        made: What prepare has found and decided.
        warnings: What the user should know, as sentences.
    """

    stage_input: StageInput
    made: LocalPlan
    warnings: tuple[str, ...]


def print_json(planned: PlannedVideo) -> None:
    """Print the report on stdout, and the warnings on stderr."""
    print_warnings(planned.warnings)
    typer.echo(planned.made.report.model_dump_json(by_alias=True, exclude_none=True, indent=2))


def print_table(planned: PlannedVideo) -> None:
    """Print what a person wants to know before hours of rendering."""
    console = Console(highlight=False, width=max(Console().width, LEAST_WIDTH))
    for line in (planned.stage_input.name, *_summary(planned)):
        console.print(line, markup=False, emoji=False, soft_wrap=True)
    console.print()
    console.print(_chunks(planned.made))
    for warning in planned.warnings:
        console.print(f"  warning: {warning}", style="yellow", markup=False, emoji=False, soft_wrap=True)
    console.print()


def _summary(planned: PlannedVideo) -> Iterator[str]:
    plan, report, effective = planned.made.plan, planned.made.report, planned.stage_input.effective
    yield f"  duration   {_clock(plan.frames)}, {plan.frames} frames at {FRAME_RATE} frames per second"
    yield f"  size       {plan.width}x{plan.height} rendered, {plan.delivered_width}x{plan.delivered_height} delivered"
    preset = f", {effective.sampling.preset} ({effective.sampling.steps} steps)" if effective.sampling else ""
    yield f"  engine     {effective.engine}{preset}"
    chained = ", each of which continues the one before it" if report.chained else ""
    yield f"  chunks     {len(plan.chunks)}{chained}"
    if report.estimate is not None:
        yield f"  to render  {_estimate(report.estimate)}"


def _estimate(estimate: Estimate) -> str:
    parts = [_count(estimate.windows, "window")]
    if estimate.gpu_seconds is not None:
        parts.append(f"{estimate.gpu_seconds:.0f} s of GPU time")
    return ", ".join(parts)


def _chunks(made: LocalPlan) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("CHUNK", "START", "LENGTH", "FRAMES", "WINDOWS"):
        table.add_column(heading, justify="right", no_wrap=True)
    for heading in ("ENDS", "STATE"):
        table.add_column(heading, no_wrap=True)
    missing = set(decode_bitmap(made.report.missing, len(made.plan.chunks)))
    for chunk in made.plan.chunks:
        table.add_row(
            str(chunk.index + 1),
            _clock(chunk.start_frame),
            _clock(chunk.frames),
            str(chunk.frames),
            str(len(chunk.windows)),
            _end(made, chunk),
            "to render" if chunk.index in missing else "finished",
        )
    return table


def _end(made: LocalPlan, chunk: PlannedChunk) -> str:
    """Where a chunk is cut off from the next one."""
    end = chunk.start_frame + chunk.frames
    if end == made.plan.frames:
        return "with the video"
    if made.report.chained:
        return "with a window"
    sample = end * SAMPLES_PER_FRAME
    silence = next(((first, last) for first, last in made.silences if first <= sample < last), None)
    return "outside silence" if silence is None else f"in {(silence[1] - silence[0]) / SAMPLE_RATE:.2f} s of silence"


def _clock(frames: int) -> str:
    """Frames as minutes and seconds."""
    minutes, seconds = divmod(frames / FRAME_RATE, 60)
    return f"{minutes:.0f}:{seconds:05.2f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
