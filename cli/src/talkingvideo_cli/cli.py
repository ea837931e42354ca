"""The ``kubectl talkingvideo`` command. Each command imports what it needs when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from talkingvideo_api.names import Stage
from talkingvideo_cli import options as opt

if TYPE_CHECKING:
    from talkingvideo_cli.commands.creating import Media
    from talkingvideo_cli.commands.session import Session

app = typer.Typer(
    name="kubectl talkingvideo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("talkingvideo-cli"))
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Make lip-synced talking videos on a cluster, from a portrait and a voice."""


@app.command()
def submit(
    picture: opt.Picture,
    sounds: opt.Sounds = None,
    text: opt.Texts = None,
    voice: opt.Voices = None,
    name: opt.ObjectName = None,
    profile: opt.ProfileName = None,
    preset: opt.PresetName = None,
    settings: opt.Settings = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the progress until it has ended.")] = False,
    timeout: opt.Timeout = None,
    output: opt.Output = None,
    store: opt.Store = None,
    endpoint: opt.Endpoint = None,
    addressing_style: opt.Addressing = opt.AddressingStyle.AUTO,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Make a video of PICTURE and SOUND, or of PICTURE and --text."""
    from talkingvideo_cli.commands.submit import submit, submit_and_watch
    from talkingvideo_cli.manifest import Wish

    wish = Wish(picture, sounds or (), text or (), "", name, voice or (), profile, preset, settings or ())
    media = _media(store, endpoint, addressing_style)

    async def command(session: Session) -> None:
        if watch:
            await submit_and_watch(session, wish, media, output, timeout)
        else:
            await submit(session, wish, media, output)

    _run(command, kubeconfig, context, namespace)


@app.command()
def plan(
    picture: Annotated[str, typer.Argument(metavar="NAME|PICTURE", help="A TalkingVideo, or a picture as for submit.")],
    sounds: opt.Sounds = None,
    text: opt.Texts = None,
    voice: opt.Voices = None,
    profile: opt.ProfileName = None,
    preset: opt.PresetName = None,
    settings: opt.Settings = None,
    timeout: opt.Timeout = None,
    output: opt.Output = None,
    store: opt.Store = None,
    endpoint: opt.Endpoint = None,
    addressing_style: opt.Addressing = opt.AddressingStyle.AUTO,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Say what a video would take: its chunks and an estimate. Nothing is rendered."""
    from talkingvideo_cli.commands.plan import plan_existing, plan_new
    from talkingvideo_cli.manifest import Wish

    wish = Wish(picture, sounds or (), text or (), "", None, voice or (), profile, preset, settings or ())
    media = _media(store, endpoint, addressing_style)

    async def command(session: Session) -> None:
        if sounds or text:
            await plan_new(session, wish, media, output, timeout)
        else:
            await plan_existing(session, picture, output, timeout)

    _run(command, kubeconfig, context, namespace)


@app.command("list")
def list_videos(
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Those of all namespaces.")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="Only those whose labels match.")] = "",
    output: opt.Output = None,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """List the videos of a namespace."""
    from talkingvideo_cli.commands.listing import show_list

    async def command(session: Session) -> None:
        await show_list(session, None if all_namespaces else session.namespace, selector, output)

    _run(command, kubeconfig, context, namespace)


@app.command()
def watch(
    name: opt.Name,
    timeout: opt.Timeout = None,
    output: opt.Output = None,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Show the progress of a video, chunk by chunk, until it has ended."""
    from talkingvideo_cli.commands.watch import watch

    async def command(session: Session) -> None:
        await watch(session, name, chosen=output, timeout=timeout)

    _run(command, kubeconfig, context, namespace)


@app.command()
def logs(
    name: opt.Name,
    stage: Annotated[Stage | None, typer.Option(help="Only this stage.")] = None,
    chunk: Annotated[int | None, typer.Option(min=0, help="Only this chunk.")] = None,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Print the logs of all stages of a video, in order."""
    from talkingvideo_cli.commands.logs import show_logs

    async def command(session: Session) -> None:
        await show_logs(session, name, stage, chunk)

    _run(command, kubeconfig, context, namespace)


@app.command()
def cancel(
    name: opt.Name,
    output: opt.Output = None,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """End the work on a video for good. Finished chunks are kept."""
    from talkingvideo_cli.commands.changes import cancel

    async def command(session: Session) -> None:
        await cancel(session, name, output)

    _run(command, kubeconfig, context, namespace)


@app.command()
def retry(
    name: opt.Name,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Show the progress until it has ended.")] = False,
    timeout: opt.Timeout = None,
    output: opt.Output = None,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Try a video again that has failed or was cancelled. Finished chunks are reused."""
    from talkingvideo_cli.commands.changes import retry, retry_and_watch

    async def command(session: Session) -> None:
        if watch:
            await retry_and_watch(session, name, output, timeout)
        else:
            await retry(session, name, output)

    _run(command, kubeconfig, context, namespace)


@app.command()
def download(
    name: opt.Name,
    file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="File, or folder for NAME.mp4.")
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    endpoint: opt.Endpoint = None,
    addressing_style: opt.Addressing = opt.AddressingStyle.AUTO,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Copy the finished video to a file, with your own credentials for the store."""
    from talkingvideo_cli.commands.results import download

    options = _media(None, endpoint, addressing_style).options

    async def command(session: Session) -> None:
        await download(session, name, file, options, replace=force)

    _run(command, kubeconfig, context, namespace)


@app.command("open")
def open_video(
    name: opt.Name,
    expires: Annotated[int, typer.Option(metavar="SECONDS", help="How long the address works, up to 7 days.")] = 3_600,
    browser: Annotated[bool, typer.Option(help="Open it; only printed where the output is not a terminal.")] = True,
    endpoint: opt.Endpoint = None,
    addressing_style: opt.Addressing = opt.AddressingStyle.AUTO,
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Print an address of the finished video that works without credentials for a while, and open it."""
    from talkingvideo_cli.commands.results import open_result

    options = _media(None, endpoint, addressing_style).options

    async def command(session: Session) -> None:
        await open_result(session, name, options, expires, launch=typer.launch if browser else None)

    _run(command, kubeconfig, context, namespace)


@app.command()
def explain(
    failure: Annotated[str, typer.Argument(metavar="CODE|NAME", help="A code such as E_OOM, or a TalkingVideo.")],
    namespace: opt.Namespace = None,
    context: opt.ContextName = None,
    kubeconfig: opt.Kubeconfig = None,
) -> None:
    """Say what a failure means and what to do about it."""
    from talkingvideo_cli.explanations import code_of, explain_code
    from talkingvideo_cli.printing import out

    if code := code_of(failure):
        out("\n".join(explain_code(code)))
        return

    from talkingvideo_cli.commands.explain import explain_object

    async def command(session: Session) -> None:
        await explain_object(session, failure)

    _run(command, kubeconfig, context, namespace)


def _run(
    command: Callable[[Session], Awaitable[None]], kubeconfig: Path | None, context: str | None, namespace: str | None
) -> None:
    from talkingvideo_cli.commands.session import run
    from talkingvideo_clients.kube.connection import Context

    run(Context(kubeconfig, context, namespace), command)


def _media(store: str | None, endpoint: str | None, addressing_style: opt.AddressingStyle) -> Media:
    from talkingvideo_cli.commands.creating import Media
    from talkingvideo_cli.store import StoreOptions

    return Media(store, StoreOptions(endpoint, addressing_style))


def _exit_on_signal(signum: int, _frame: FrameType | None) -> None:
    """Exit through an exception, so that a dry run is deleted and unfinished files are removed.

    asyncio's own handler of Ctrl-C would wait until an upload is complete.
    """
    raise SystemExit(128 + signum)


def main() -> None:
    """Entry point."""
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _exit_on_signal)
    app(prog_name="kubectl talkingvideo")
