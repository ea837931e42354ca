"""The ``talkingvideo-gateway`` command."""

from __future__ import annotations

import ipaddress
import secrets
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    help="HTTP in front of TalkingVideos.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def commands() -> None:
    """HTTP in front of TalkingVideos."""


@app.command()
def serve(
    local: Annotated[Path, typer.Option(metavar="DIR", help="Make the videos on this machine, and keep all in DIR.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8000,
    at_once: Annotated[int, typer.Option(min=1, help="Most videos that are made at once.")] = 1,
    engine: Annotated[str | None, typer.Option(help="Engine of videos that name none.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the configuration.")] = None,
) -> None:
    """Serve the API and the page until interrupted."""
    from talkingvideo_gateway.app import create_app
    from talkingvideo_gateway.errors import GatewayError
    from talkingvideo_gateway.identity.caller import Caller
    from talkingvideo_gateway.identity.loopback import EverybodyIs
    from talkingvideo_gateway.local.backend import LocalOptions, local_backend
    from talkingvideo_gateway.server import Server
    from talkingvideo_gateway.settings import load_config

    try:
        if not _is_loopback(host):
            raise typer.BadParameter("without authentication it listens on loopback only", param_hint="--host")
        settings = load_config(config)
        caller = Caller("local", settings.namespace, limits=settings.limits)
        backend = local_backend(LocalOptions(local, at_once, engine))
        application = create_app(settings, backend, EverybodyIs(caller), _link_key(local))
    except GatewayError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(f"The page: http://{host}:{port}")
    Server(application, host=host, port=port).run()


def _link_key(folder: Path) -> str:
    """The key of this folder's links, made when it is first used: links outlive the process."""
    file = folder / "link-key"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_text(secrets.token_urlsafe(32), encoding="ascii")
    return file.read_text(encoding="ascii")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def main() -> None:
    """Entry point."""
    app()
