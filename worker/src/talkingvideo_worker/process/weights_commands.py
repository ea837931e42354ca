"""``talkingvideo weights``: check, fetch and convert the model's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_worker.engines.infinitetalk.weights.sources import Part

app = typer.Typer(help="Check, fetch and convert the model's weights.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the weights.")]


@app.command()
def check(folder: Folder) -> None:
    """List the files that are good, missing or of the wrong shape; reads headers only and takes seconds."""
    from talkingvideo_worker.engines.infinitetalk.weights.checking import check_weights, lacking_for_some
    from talkingvideo_worker.process.terminal import print_message

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
        print_message(
            f"{wrong} of {len(findings)} files are missing or wrong; `talkingvideo weights fetch` gets them",
            style="red",
        )
        raise typer.Exit(ERRORS[ErrorCode.PIPELINE_LOAD].exit_status)
    print_message(f"all {len(findings)} files that every video needs are good", style="green")
    if lacking:
        print_message(f"{len(lacking)} files that some videos need are missing; `talkingvideo weights fetch` gets them")


@app.command()
def fetch(
    folder: Folder,
    only: Annotated[list[Part] | None, typer.Option(help="Parts to fetch. Default: all.")] = None,
) -> None:
    """Fetch missing files from the Hugging Face hub (HF_ENDPOINT, HF_TOKEN); resumable, with checksums."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.engines.infinitetalk.weights.fetching import fetch_weights

        fetch_weights(folder, _print_progress, only or tuple(Part))


@app.command()
def convert(folder: Folder) -> None:
    """Write copies in bf16 into DIR/converted, which load as fast as the disk reads; resumable."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.engines.infinitetalk.weights.converting import convert_weights

        convert_weights(folder, _print_progress)


def _print_progress(fraction: float, message: str) -> None:
    from talkingvideo_worker.process.terminal import print_message

    print_message(f"{fraction:4.0%}  {message}")
