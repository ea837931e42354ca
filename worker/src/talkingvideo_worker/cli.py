"""The ``talkingvideo`` command."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from talkingvideo_api.effective import PREVIEW
from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.reports import TerminationMessage
from talkingvideo_worker.progress import LogReporter
from talkingvideo_worker.scratch import scratch_folder
from talkingvideo_worker.stages.context import Mounts, StageContext, read_order
from talkingvideo_worker.termination import failure_of, leave, leave_failure

app = typer.Typer(
    help="A portrait and a voice in, a lip-synced talking video out.", no_args_is_help=True, add_completion=False
)
console = Console(stderr=True, highlight=False)


class PrepareStep(StrEnum):
    """The steps of prepare; in a pod each has a container of its own."""

    FETCH = "fetch"
    PROCESS = "process"
    PUBLISH = "publish"


File = Annotated[Path, typer.Argument(help="YAML with TalkingVideos and the ConfigMaps that they name.")]
OrderFile = Annotated[Path, typer.Option("--order", help="The order, as the operator wrote it.")]
Out = Annotated[Path, typer.Option(help="Folder of the results.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="Engine of objects that name none.")]
Workspace = Annotated[Path | None, typer.Option(help="Folder of plans and finished chunks.")]
MountOptions = Annotated[list[str] | None, typer.Option("--mount", help="claim=DIR: what pvc://claim/ stands for.")]


@app.command()
def run(
    file: File,
    out: Out = Path("out"),
    engine: EngineName = None,
    workspace: Workspace = None,
    mount: MountOptions = None,
) -> None:
    """Make the videos of FILE on this machine."""
    from talkingvideo_worker.local.documents import read_documents
    from talkingvideo_worker.local.orders import LocalPlaces, make_order, warnings_of
    from talkingvideo_worker.local.run import LocalMounts, run_locally
    from talkingvideo_worker.terminal import TerminalReporter

    with _failures_for_people():
        documents = read_documents(file)
        mounts = LocalMounts(_claims(mount), documents)
        places = LocalPlaces(out, workspace or _default_workspace())
        orders = [make_order(video, engine or PREVIEW, places) for video in documents.videos]
        for order in orders:
            with TerminalReporter(console, order.name) as reporter:
                report = run_locally(order, mounts, reporter)
            for warning in warnings_of(order):
                console.print(f"[yellow]note:[/] {warning}")
            console.print(
                f"[green]{order.name}[/]: {report.frame_count} frames, {report.duration_seconds:.2f} s, "
                f"{report.width}x{report.height}, {report.bytes / 1e6:.1f} MB"
            )
            for suffix, what in ((".mp4", "video"), (".jpg", "thumbnail"), (".json", "report")):
                console.print(f"  {what:<9} {out / f'{order.name}{suffix}'}")


@app.command()
def plan(file: File, engine: EngineName = None, workspace: Workspace = None, mount: MountOptions = None) -> None:
    """Fetch, check and split the videos of FILE, and print the plan; nothing is rendered."""
    from talkingvideo_worker.local.documents import read_documents
    from talkingvideo_worker.local.orders import LocalPlaces, make_order
    from talkingvideo_worker.local.run import LocalMounts, prepare_locally

    with _failures_for_people():
        documents = read_documents(file)
        mounts = LocalMounts(_claims(mount), documents)
        places = LocalPlaces(Path("out"), workspace or _default_workspace())
        for video in documents.videos:
            order = make_order(video, engine or PREVIEW, places)
            report = prepare_locally(order, mounts, LogReporter(sys.stderr))
            typer.echo(report.model_dump_json(by_alias=True, exclude_none=True, indent=2))


@app.command()
def prepare(
    order: OrderFile,
    step: Annotated[PrepareStep | None, typer.Option(help="One step; all of them when absent.")] = None,
) -> None:
    """Fetch the inputs, check them, plan the chunks (in a pod)."""
    from talkingvideo_worker.stages.prepare.fetch import fetch
    from talkingvideo_worker.stages.prepare.process import process
    from talkingvideo_worker.stages.prepare.publish import publish

    with _stage(order) as context:
        if step in (None, PrepareStep.FETCH):
            fetch(context)
        if step in (None, PrepareStep.PROCESS):
            process(context)
        if step in (None, PrepareStep.PUBLISH):
            leave(TerminationMessage(prepared=publish(context)))


@app.command()
def render(order: OrderFile, chunk: Annotated[int, typer.Option(min=0, help="Index of the chunk.")]) -> None:
    """Render one chunk (in a pod)."""
    from talkingvideo_worker.stages.render import render as render_chunk

    with _stage(order) as context:
        leave(TerminationMessage(rendered=render_chunk(context, chunk)))


@app.command()
def stitch(order: OrderFile) -> None:
    """Join the chunks and deliver the result (in a pod)."""
    from talkingvideo_worker.stages.stitch import stitch as stitch_video

    with _stage(order) as context:
        leave(TerminationMessage(stitched=stitch_video(context)))


@contextmanager
def _stage(order: Path) -> Iterator[StageContext]:
    """The surroundings of a stage in a pod; its end is left for the operator, also when it is a failure."""
    try:
        with _pod_scratch() as scratch:
            yield StageContext(order=read_order(order), mounts=_pod_mounts(), scratch=scratch, reporter=LogReporter())
    except Exception as error:
        failure = failure_of(error)
        if failure.code is ErrorCode.INTERNAL:
            traceback.print_exc()
        console.print(f"{failure.code.value}: {failure}", markup=False)
        leave_failure(failure)
        raise typer.Exit(failure.exit_status) from error


@contextmanager
def _pod_scratch() -> Iterator[Path]:
    """The pod's scratch volume, which the containers of prepare share; a temporary folder where there is none."""
    if given := os.environ.get("TALKINGVIDEO_SCRATCH"):
        folder = Path(given) / "stage"
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with scratch_folder() as folder:
        yield folder


def _pod_mounts() -> Mounts:
    return Mounts(
        claims=Path(os.environ.get("TALKINGVIDEO_CLAIMS", "/mnt/claims")),
        configmaps=Path(os.environ.get("TALKINGVIDEO_CONFIGMAPS", "/mnt/configmaps")),
        headers=Path(os.environ.get("TALKINGVIDEO_HEADERS", "/mnt/headers")),
    )


@contextmanager
def _failures_for_people() -> Iterator[None]:
    try:
        yield
    except StageError as error:
        console.print(f"error: {error} ({error.code.value})", style="red", markup=False)
        raise typer.Exit(error.exit_status) from error


def _claims(mounts: list[str] | None) -> dict[str, Path]:
    claims = {}
    for mount in mounts or []:
        name, separator, folder = mount.partition("=")
        if not separator or not Path(folder).is_dir():
            raise StageError(ErrorCode.INPUT_VALIDATION, f"--mount {mount}: give claim=DIR with a folder that exists.")
        claims[name] = Path(folder)
    return claims


def _default_workspace() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "talkingvideo" / "workspace"


def _end_at_once(signum: int, _frame: FrameType | None) -> None:
    """Leave by the front door, so that temporary files go; as PID 1 the default would be to ignore the signal."""
    raise SystemExit(128 + signum)


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _end_at_once)
    app()
