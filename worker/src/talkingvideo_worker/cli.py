"""The ``talkingvideo`` command. What a command needs is imported when it is called: help comes at once."""

from __future__ import annotations

import signal
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from talkingvideo_worker.process import weights_commands

app = typer.Typer(
    help="A portrait and a voice in, a lip-synced talking video out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(weights_commands.app, name="weights")


class PrepareStep(StrEnum):
    """The steps of prepare; in a pod each has a container of its own."""

    FETCH = "fetch"
    PROCESS = "process"
    PUBLISH = "publish"


File = Annotated[Path, typer.Argument(help="YAML with TalkingVideos and the ConfigMaps that they name.")]
StageInputFile = Annotated[Path, typer.Option("--stage-input", help="The stage input that the operator wrote.")]
Out = Annotated[Path, typer.Option(help="Folder of the results.")]
EngineName = Annotated[str | None, typer.Option("--engine", help="Engine of objects that name none.")]
Workspace = Annotated[Path | None, typer.Option(help="Folder of finished chunks, which later runs find again.")]
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
    from talkingvideo_worker.process.terminal import failures_for_people

    with failures_for_people():
        from talkingvideo_worker.local.commands import make_videos
        from talkingvideo_worker.local.locations import LocalLocations, default_workspace

        make_videos(file, engine, mount or (), LocalLocations(out, workspace or default_workspace()))


@app.command()
def plan(
    file: File,
    out: Out = Path("out"),
    engine: EngineName = None,
    workspace: Workspace = None,
    mount: MountOptions = None,
) -> None:
    """Fetch, check and split the videos of FILE, and print the plan; nothing is rendered."""
    from talkingvideo_worker.process.terminal import failures_for_people

    with failures_for_people():
        from talkingvideo_worker.local.commands import plans_of
        from talkingvideo_worker.local.locations import LocalLocations, default_workspace

        for report in plans_of(file, engine, mount or (), LocalLocations(out, workspace or default_workspace())):
            typer.echo(report.model_dump_json(by_alias=True, exclude_none=True, indent=2))


@app.command()
def prepare(
    stage_input: StageInputFile,
    step: Annotated[PrepareStep | None, typer.Option(help="One step; all of them when absent.")] = None,
) -> None:
    """Fetch the inputs, check them, plan the chunks (in a pod)."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input) as pod:
        if step in (None, PrepareStep.FETCH):
            from talkingvideo_worker.stages.prepare.fetch import fetch

            fetch(pod.context)
        if step in (None, PrepareStep.PROCESS):
            from talkingvideo_worker.stages.prepare.process import process

            process(pod.context)
        if step in (None, PrepareStep.PUBLISH):
            from talkingvideo_worker.stages.prepare.publish import publish

            pod.report(publish(pod.context))


@app.command()
def render(stage_input: StageInputFile, chunk: Annotated[int, typer.Option(min=0, help="Index of the chunk.")]) -> None:
    """Render one chunk (in a pod)."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input) as pod:
        from talkingvideo_worker.stages.render import render as render_chunk

        pod.report(render_chunk(pod.context, chunk))


@app.command()
def stitch(stage_input: StageInputFile) -> None:
    """Join the chunks and deliver the result (in a pod)."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input) as pod:
        from talkingvideo_worker.stages.stitch import stitch as stitch_video

        pod.report(stitch_video(pod.context))


def _end_at_once(signum: int, _frame: FrameType | None) -> None:
    """Leave by the front door, so that temporary files go; as PID 1 the default would be to ignore the signal."""
    raise SystemExit(128 + signum)


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _end_at_once)
    app()
