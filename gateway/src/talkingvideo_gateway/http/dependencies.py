"""What a route asks for: its caller and the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Annotated, Any, cast

from fastapi import Depends, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import HTTPConnection

from talkingvideo_gateway.errors import GatewayError, UnavailableError
from talkingvideo_gateway.http.links import Links
from talkingvideo_gateway.identity.caller import Authenticator, Caller
from talkingvideo_gateway.identity.origins import Origins
from talkingvideo_gateway.identity.session import Sessions
from talkingvideo_gateway.settings import GatewayConfig
from talkingvideo_gateway.videos.service import VideoService
from talkingvideo_gateway.videos.uploads import Uploads

CALLER = "talkingvideo.caller"
"""Where a request's scope has its caller, once it is known."""


@dataclass(frozen=True)
class Gateway:
    """What the routes work with.

    Attributes:
        config: The configuration.
        service: The videos.
        uploads: Files that come before their videos.
        authenticator: Tells callers apart.
        links: Addresses of results for whoever has no credentials.
        sessions: The page's logins.
        origins: Tells whose page has sent a request.
        version: The release.
        closing: Set when the process is told to end.
    """

    config: GatewayConfig
    service: VideoService
    uploads: Uploads
    authenticator: Authenticator
    links: Links
    sessions: Sessions
    origins: Origins
    version: str = version("talkingvideo-gateway")
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    def end_streams(self) -> None:
        """End the streams that have no end of their own; called by a signal's handler, in the loop's thread."""
        asyncio.get_running_loop().call_soon_threadsafe(self.closing.set)


def gateway_of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves a request or a WebSocket."""
    return cast(Gateway, connection.app.state.gateway)


async def caller_of(connection: HTTPConnection) -> Caller:
    """Who sends a request.

    Raises:
        UnauthenticatedError: Nobody who is known.
        ForbiddenError: Somebody who has no right to videos.
    """
    if CALLER not in connection.scope:
        connection.scope[CALLER] = await gateway_of(connection).authenticator.authenticate(connection)
    return cast(Caller, connection.scope[CALLER])


async def is_still(caller: Caller, connection: HTTPConnection) -> bool:
    """Whether a connection that has been open for a while is still its caller's: the token may have been withdrawn."""
    try:
        now = await gateway_of(connection).authenticator.authenticate(connection)
    except UnavailableError:
        return True
    except GatewayError:
        return False
    return (now.namespace, now.name) == (caller.namespace, caller.name)


class CallerRoute(APIRoute):
    """A route that asks who sends a request before it reads the body, which FastAPI reads before everything else.

    Nobody who is unknown gets the gateway to hold, parse or store what may be a hundred megabytes.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See FastAPI."""
        handle = super().get_route_handler()
        if not _asks_for_caller(self.dependant):
            return handle

        async def of_caller(request: Request) -> Response:
            await caller_of(request)
            return await handle(request)

        return of_caller


def _asks_for_caller(dependant: Dependant) -> bool:
    return dependant.call is caller_of or any(_asks_for_caller(each) for each in dependant.dependencies)


def service_of(connection: HTTPConnection) -> VideoService:
    """The videos."""
    return gateway_of(connection).service


async def _gateway(connection: HTTPConnection) -> Gateway:
    """`gateway_of` as a coroutine: FastAPI calls plain functions in a thread each, which takes longer than they do."""
    return gateway_of(connection)


async def _service(connection: HTTPConnection) -> VideoService:
    return service_of(connection)


CallerOf = Annotated[Caller, Depends(caller_of)]
GatewayOf = Annotated[Gateway, Depends(_gateway)]
ServiceOf = Annotated[VideoService, Depends(_service)]
