"""The ``talkingvideo`` command. Each command imports what it needs when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import signal
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from talkingvideo_worker.process import weights_commands

app = typer.Typer(
    help="Make lip-synced talking videos from a portrait and a voice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(weights_commands.app, name="weights")


class ProgressForm(StrEnum):
    """How a run shows its progress."""

    BAR = "bar"
    JSON = "json"


class PrepareStep(StrEnum):
    """The steps of prepare; in a pod each has its own container."""

    FETCH = "fetch"
    PROCESS = "process"
    PUBLISH = "publish"


class PlanFormat(StrEnum):
    """Formats of a plan."""

    TABLE = "table"
    JSON = "json"


File = Annotated[
    Path, typer.Argument(metavar="FILE", help="YAML file with TalkingVideos and the ConfigMaps that they refer to.")
]
StageInputFile = Annotated[
    Path, typer.Option("--stage-input", help="File of the stage input, written by the operator.")
]
StageInputDigest = Annotated[
    str | None,
    typer.Option(
        "--stage-input-sha256",
        metavar="HEX",
        help="Refuse a stage input with another sha256. The operator always gives it.",
    ),
]
Out = Annotated[Path, typer.Option(help="Folder for the results.")]
EngineName = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="Engine of objects that do not set spec.engine. Default: infinitetalk with its weights and a GPU, otherwise preview.",
    ),
]
Workspace = Annotated[Path | None, typer.Option(help="Folder for finished chunks, which later runs reuse.")]
MountOptions = Annotated[
    list[str] | None, typer.Option("--mount", help="claim=DIR: the folder that pvc://claim/ refers to. Repeatable.")
]
Secrets = Annotated[
    Path | None,
    typer.Option(help="DIR: the folder whose DIR/SECRET/HEADER files headersSecretName refers to.", metavar="DIR"),
]


@app.command()
def make(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A PNG, JPEG or WebP picture, or a video to dub.")],
    sound: Annotated[
        list[Path] | None,
        typer.Argument(metavar="SOUND", help="A recording; a second one is of the second speaker, to the right."),
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option(help="Text to speak instead of SOUND. Repeat it for a second speaker.")
    ] = None,
    voice: Annotated[
        list[str] | None, typer.Option(help="Voice or language of the text, such as af_heart or en-us.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE.mp4",
            help="The video. Default: PICTURE's name and -talking.mp4, in this folder.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    engine: Annotated[
        str | None, typer.Option(help="Default: infinitetalk with its weights and a GPU, otherwise preview.")
    ] = None,
    preset: Annotated[str | None, typer.Option(metavar="quality|fast|turbo", help="Default: fast.")] = None,
    resolution: Annotated[str | None, typer.Option(metavar="480p|720p", help="Default: 480p.")] = None,
    aspect_ratio: Annotated[
        str | None, typer.Option(metavar="Source|16:9|9:16|1:1|3:4|4:3", help="Default: Source, that of PICTURE.")
    ] = None,
    prompt: Annotated[str | None, typer.Option(help="Text that conditions the model.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random numbers; -1 draws one. Default: 42.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="spec.FIELD=VALUE", help="Any other field, as in docs/resource.md. Repeatable."),
    ] = None,
    yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the YAML for `talkingvideo run` instead of making the video.")
    ] = False,
    workspace: Workspace = None,
    mount: MountOptions = None,
    secrets: Secrets = None,
) -> None:
    """Make PICTURE speak SOUND, or a text, on this machine."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.local.commands import LocalOptions, make_video, yaml_of
        from talkingvideo_worker.local.locations import default_workspace
        from talkingvideo_worker.local.make import FIELDS, MakeArguments

        values = dict(zip(FIELDS, (engine, preset, resolution, aspect_ratio, prompt, seed), strict=True))
        arguments = MakeArguments(picture, sound or (), text or (), voice or (), values, set_ or (), output, overwrite)
        if yaml:
            typer.echo(yaml_of(arguments), nl=False)
        else:
            make_video(arguments, LocalOptions(mount or (), secrets), workspace or default_workspace())


@app.command()
def run(
    file: File,
    out: Out = Path("out"),
    engine: EngineName = None,
    workspace: Workspace = None,
    mount: MountOptions = None,
    secrets: Secrets = None,
    progress: Annotated[
        ProgressForm, typer.Option(help="json: lines for a program on stdout; without --mount and --secrets.")
    ] = ProgressForm.BAR,
    plan_folder: Annotated[
        Path | None,
        typer.Option(
            "--plan", metavar="DIR", help="With json and one video: keep its plan and sound in DIR meanwhile."
        ),
    ] = None,
) -> None:
    """Make the videos in FILE on this machine."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.local.locations import LocalLocations, default_workspace

        locations = LocalLocations(out, workspace or default_workspace())
        match progress:
            case ProgressForm.BAR:
                from talkingvideo_worker.local.commands import LocalOptions, make_videos
                from talkingvideo_worker.local.documents import read_documents

                make_videos(read_documents(file), engine, LocalOptions(mount or (), secrets), locations)
            case ProgressForm.JSON:
                from talkingvideo_worker.local.lines import make_videos_in_lines

                make_videos_in_lines(file, engine, locations, plan_folder)


@app.command()
def plan(
    file: File,
    output: Annotated[PlanFormat, typer.Option("--output", "-o", help="Format of the plans.")] = PlanFormat.TABLE,
    out: Out = Path("out"),
    engine: EngineName = None,
    workspace: Workspace = None,
    mount: MountOptions = None,
    secrets: Secrets = None,
) -> None:
    """Fetch and check the inputs of the videos in FILE, and print the plans; nothing is rendered."""
    from talkingvideo_worker.process.terminal import exit_on_failure

    with exit_on_failure():
        from talkingvideo_worker.local.commands import LocalOptions, plan_videos
        from talkingvideo_worker.local.documents import read_documents
        from talkingvideo_worker.local.locations import LocalLocations, default_workspace
        from talkingvideo_worker.local.plan_output import print_json, print_table

        print_plan = {PlanFormat.TABLE: print_table, PlanFormat.JSON: print_json}[output]
        locations, volumes = LocalLocations(out, workspace or default_workspace()), LocalOptions(mount or (), secrets)
        for planned in plan_videos(read_documents(file), engine, volumes, locations):
            print_plan(planned)


@app.command()
def prepare(
    stage_input: StageInputFile,
    step: Annotated[PrepareStep | None, typer.Option(help="Step to run. Default: all.")] = None,
    stage_input_sha256: StageInputDigest = None,
) -> None:
    """Run the prepare stage: fetch and check the inputs, and plan the chunks; used inside a pod."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input, stage_input_sha256) as pod:
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
def render(
    stage_input: StageInputFile,
    chunk: Annotated[int, typer.Option(min=0, help="Index of the chunk.")],
    stage_input_sha256: StageInputDigest = None,
) -> None:
    """Run the render stage: render one chunk; used inside a pod."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input, stage_input_sha256) as pod:
        from talkingvideo_worker.stages.render import render as render_chunk

        pod.report(render_chunk(pod.context, chunk))


@app.command()
def stitch(stage_input: StageInputFile, stage_input_sha256: StageInputDigest = None) -> None:
    """Run the stitch stage: join the chunks and deliver the result; used inside a pod."""
    from talkingvideo_worker.process.pod import stage_in_pod

    with stage_in_pod(stage_input, stage_input_sha256) as pod:
        from talkingvideo_worker.stages.stitch import stitch as stitch_video

        pod.report(stitch_video(pod.context))


def _exit_on_signal(signum: int, _frame: FrameType | None) -> None:
    """Exit through an exception, so that temporary files are removed; the default of PID 1 would be to ignore the signal."""
    raise SystemExit(128 + signum)


def main() -> None:
    """Entry point."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    app()
