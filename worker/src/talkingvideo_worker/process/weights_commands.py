"""``talkingvideo weights``: check, fetch and convert the models' weights."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.engines.infinitetalk.weights import files
from talkingvideo_worker.speech import weights as speech_weights
from talkingvideo_worker.weights.pins import release_pins
from talkingvideo_worker.weights.record import files_of_another_release

app = typer.Typer(help="Check, fetch and convert the model's weights.", no_args_is_help=True)

PUBLISHED = (*files.PUBLISHED, *speech_weights.PUBLISHED)
"""Everything that ``weights fetch`` knows: the rows of whoever needs weights."""

PARTS = tuple(dict.fromkeys(row.part for row in PUBLISHED))

if TYPE_CHECKING:
    from talkingvideo_worker.engines.infinitetalk.weights.checking import Finding

    Part = str
else:  # typer offers the members of an enumeration as choices; a type checker cannot know those of this one
    Part = StrEnum("Part", {part: part for part in PARTS})

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the weights.")]
Only = Annotated[list[Part] | None, typer.Option(help="Parts to fetch. Default: all.")]


@app.command()
def check(folder: Folder) -> None:
    """List each file as ok, invalid or missing; reads headers and recorded checksums only, and takes seconds."""
    from talkingvideo_worker.engines.infinitetalk.weights.checking import check_weights, missing_for_some_videos
    from talkingvideo_worker.process.terminal import print_message

    findings = check_weights(folder)
    for finding in findings:
        typer.echo(_describe(finding))
    missing = [*missing_for_some_videos(folder), *speech_weights.missing_files(folder)]
    for file in missing:
        typer.echo(f"missing  {file}")
    others = list(files_of_another_release(folder, release_pins().by_destination(PUBLISHED)))
    for other in others:
        typer.echo(f"other    {other} is not the file of this release")
    unusable = sum(finding.problem is not None for finding in findings)
    if unusable:
        print_message(
            f"{unusable} of {len(findings)} files are missing or invalid; `talkingvideo weights fetch` gets them",
            style="red",
        )
        raise typer.Exit(ERRORS[ErrorCode.PIPELINE_LOAD].exit_status)
    print_message(f"all {len(findings)} files that every video needs are ok", style="green")
    if others:
        print_message(
            f"{len(others)} files have another sha256 than those of this release: use them only if you put them there"
        )
    if missing:
        print_message(f"{len(missing)} files that some videos need are missing; `talkingvideo weights fetch` gets them")


@app.command()
def fetch(folder: Folder, only: Only = None) -> None:
    """Fetch missing files from the Hugging Face hub (HF_ENDPOINT, HF_TOKEN); resumable, with checksums."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.weights.fetch import fetch_weights

        fetch_weights(folder, [row for row in PUBLISHED if row.part in (only or PARTS)], _print_progress)


@app.command()
def convert(folder: Folder) -> None:
    """Write copies in bf16 into DIR/converted, which load faster; resumable."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.engines.infinitetalk.weights.converting import convert_weights

        convert_weights(folder, _print_progress)


def _describe(finding: Finding) -> str:
    if finding.is_missing:
        return f"missing  {finding.path}"
    weights = f" ({finding.weights} weights)" if finding.weights is not None else ""
    if finding.problem is None:
        return f"ok       {finding.path}{weights}"
    return f"invalid  {finding.path}{weights} {finding.problem}"


def _print_progress(fraction: float, message: str) -> None:
    from talkingvideo_worker.process.terminal import print_message

    print_message(f"{fraction:4.0%}  {message}")
