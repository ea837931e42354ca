"""``talkingvideo weights``: look at, fetch and convert the model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.engines.infinitetalk.weights.sources import Part

app = typer.Typer(help="Look at, fetch and convert the model's weights.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the weights.")]


@app.command()
def check(folder: Folder) -> None:
    """Say which files are there, missing, or of the wrong shape; by headers only, in seconds."""
    from talkingvideo_worker.engines.infinitetalk.weights.checking import check_weights, lacking_for_some
    from talkingvideo_worker.process.terminal import say

    findings = check_weights(folder)
    for finding in findings:
        weights = f" ({finding.weights} weights)" if finding.weights is not None else ""
        typer.echo(
            f"{'wrong' if finding.problem else 'good '}  {finding.path}{weights} {finding.problem or ''}".rstrip()
        )
    lacking = lacking_for_some(folder)
    for what in lacking:
        typer.echo(f"lacks  {what}")
    wrong = sum(finding.problem is not None for finding in findings)
    if wrong:
        say(
            f"{wrong} of {len(findings)} files are missing or wrong; `talkingvideo weights fetch` gets them",
            style="red",
        )
        raise typer.Exit(ERRORS[ErrorCode.PIPELINE_LOAD].exit_status)
    say(f"all {len(findings)} files that every video needs are good", style="green")
    if lacking:
        say(f"{len(lacking)} files that some videos need are missing; `talkingvideo weights fetch` gets them")


@app.command()
def fetch(
    folder: Folder,
    only: Annotated[list[Part] | None, typer.Option(help="Parts to fetch; all when absent.")] = None,
) -> None:
    """Fetch what is missing from the Hugging Face hub (HF_ENDPOINT, HF_TOKEN); resumable, with checksums."""
    from talkingvideo_worker.process.terminal import failures_for_people

    with failures_for_people():
        from talkingvideo_worker.engines.infinitetalk.weights.fetching import fetch_weights

        fetch_weights(folder, _say_progress, only or tuple(Part))


@app.command()
def convert(folder: Folder) -> None:
    """Write copies in bf16 that load at the disk's speed, into DIR/converted; resumable."""
    from talkingvideo_worker.process.terminal import failures_for_people

    with failures_for_people():
        from talkingvideo_worker.engines.infinitetalk.weights.converting import convert_weights

        convert_weights(folder, _say_progress)


def _say_progress(fraction: float, message: str) -> None:
    from talkingvideo_worker.process.terminal import say

    say(f"{fraction:4.0%}  {message}")
