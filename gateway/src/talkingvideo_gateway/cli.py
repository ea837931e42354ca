"""The ``talkingvideo-gateway`` command."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from talkingvideo_gateway.settings import GatewayConfig

SHUTDOWN_SECONDS = 25
"""How long open requests may take after a signal to end."""

LOCAL_SHUTDOWN_SECONDS = 5
"""The same where somebody waits for it."""

app = typer.Typer(
    help="HTTP in front of TalkingVideos.", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


@app.callback()
def commands() -> None:
    """HTTP in front of TalkingVideos."""


@app.command()
def serve(
    local: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Make the videos on this machine, and keep all in DIR. Without it: in the cluster."
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535)] = 8000,
    at_once: Annotated[int, typer.Option(min=1, help="With --local: most videos that are made at once.")] = 1,
    engine: Annotated[str | None, typer.Option(help="With --local: engine of videos that name none.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file with the configuration.")] = None,
) -> None:
    """Serve the API and the page until interrupted."""
    from talkingvideo_gateway.errors import GatewayError
    from talkingvideo_gateway.settings import load_config

    try:
        settings = load_config(config)
        if not _is_loopback(host) and (local is not None or not settings.authentication.is_configured):
            raise typer.BadParameter("without authentication it listens on loopback only", param_hint="--host")
        if local is None:
            asyncio.run(_serve_cluster(settings, host, port))
        else:
            _serve_local(settings, local, host, port, at_once, engine)
    except GatewayError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _serve_local(settings: GatewayConfig, folder: Path, host: str, port: int, at_once: int, engine: str | None) -> None:
    import uvicorn

    from talkingvideo_gateway.app import create_app
    from talkingvideo_gateway.identity.caller import Caller
    from talkingvideo_gateway.identity.loopback import EverybodyIs
    from talkingvideo_gateway.identity.origins import Origins
    from talkingvideo_gateway.local.backend import LocalOptions, local_backend
    from talkingvideo_gateway.server import Server

    caller = Caller("local", settings.namespace, limits=settings.limits, sees_namespace=True)
    backend = local_backend(LocalOptions(folder, at_once, engine))
    everybody = EverybodyIs(caller, Origins(settings.public_url))
    application = create_app(settings, backend, everybody, _link_key(folder))
    typer.echo(f"The page: http://{f'[{host}]' if ':' in host else host}:{port}")
    # h11 bounds headers, which httptools does not. Whoever reads a line of an access log has the link that is in it.
    options = uvicorn.Config(
        application,
        host=host,
        port=port,
        http="h11",
        proxy_headers=False,
        access_log=False,
        timeout_graceful_shutdown=LOCAL_SHUTDOWN_SECONDS,
    )
    server = Server(options, application)
    server.run()
    if not server.started:
        raise typer.Exit(3)


async def _serve_cluster(settings: GatewayConfig, host: str, port: int) -> None:
    import uvicorn
    from prometheus_client import start_http_server

    from talkingvideo_gateway.cluster_gateway import cluster_gateway
    from talkingvideo_gateway.http.metrics import Metrics
    from talkingvideo_gateway.server import Server

    metrics = Metrics()
    application = await cluster_gateway(settings)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, addr=host, registry=metrics.registry)
    # Proxies' headers are not believed: an authenticating proxy is known by the address of its connection.
    options = uvicorn.Config(
        metrics.around(application),
        host=host,
        port=port,
        http="h11",
        proxy_headers=False,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = Server(options, application)
    await server.serve()
    if not server.started:
        raise typer.Exit(3)


def _link_key(folder: Path) -> str:
    """The key of this folder's links, made when it is first used: links outlive the process."""
    from talkingvideo_gateway.cluster_gateway import link_key

    file = folder / "link-key"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: what an interrupted start left would be a key that everybody knows.
        new = folder / f".link-key-{secrets.token_hex(8)}"
        new.touch(mode=0o600)
        new.write_text(secrets.token_urlsafe(32), encoding="ascii")
        new.replace(file)
    return link_key(file)


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
