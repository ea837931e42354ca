"""Runs a command against the cluster that a person has chosen, and ends it with a status and a sentence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import typer

from talkingvideo_api.errors import StageError
from talkingvideo_cli.exits import CommandError, usage
from talkingvideo_cli.printing import tell
from talkingvideo_cli.refusals import of_api_error, of_stage_error
from talkingvideo_clients.kube.api import VIDEOS, Api, ApiError
from talkingvideo_clients.kube.connection import Context, KubeconfigError, connected


@dataclass(frozen=True)
class Session:
    """A connection to the cluster.

    Attributes:
        api: The API.
        namespace: The namespace to work in.
    """

    api: Api
    namespace: str

    async def get(self, name: str) -> dict[str, Any]:
        """Read a TalkingVideo."""
        return await self.api.get(VIDEOS, self.namespace, name)


def run(context: Context, command: Callable[[Session], Awaitable[None]]) -> None:
    """Run a command against a cluster.

    Raises:
        typer.Exit: With the status of the error that it ended with.
    """
    with exit_on_error():
        asyncio.run(_connected(context, command))


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turn an error into a sentence and an exit status.

    Raises:
        typer.Exit: With that status.
    """
    try:
        yield
    except CommandError as error:
        _exit(error)
    except ApiError as error:
        _exit(of_api_error(error))
    except StageError as error:
        _exit(of_stage_error(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        _exit(usage(f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")))
    except KubeconfigError as error:
        _exit(usage(f"the kubeconfig cannot be used: {error}"))


def _exit(error: CommandError) -> None:
    tell(f"error: {error}")
    raise typer.Exit(error.status) from error


async def _connected(context: Context, command: Callable[[Session], Awaitable[None]]) -> None:
    logging.getLogger("kubernetes").setLevel(logging.ERROR)
    async with connected(context) as (api, namespace):
        await command(Session(api, namespace))
