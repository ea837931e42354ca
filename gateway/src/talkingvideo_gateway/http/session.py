"""Login of the page: a token is pasted once, and a cookie holds it from then on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.requests import HTTPConnection

from talkingvideo_gateway.http.dependencies import CallerOf, GatewayOf
from talkingvideo_gateway.identity.caller import Caller

PATH = "/session"
MOST_BYTES = 65_536
"""Of a login, which whoever is not known yet sends."""

router = APIRouter(tags=["session"])


class Login(BaseModel):
    """Body of a login."""

    token: Annotated[str, Field(min_length=1, max_length=16_384)]
    """The token, as it would be in the Authorization header."""


class Who(BaseModel):
    """Who sends requests."""

    caller: str
    """The caller, as it is in the label of its videos."""
    namespace: str
    """Namespace of its videos."""


@router.post(PATH)
async def log_in(login: Login, request: Request, response: Response, gateway: GatewayOf) -> Who:
    """Begin a session."""
    gateway.origins.refuse_foreign(request)
    token = login.token.strip()
    caller = await gateway.authenticator.authenticate(_with_header(request, token))
    gateway.sessions.open(request, response, token)
    return _who(caller)


@router.get(PATH)
async def who(caller: CallerOf) -> Who:
    """Who sends this request."""
    return _who(caller)


@router.delete(PATH, status_code=204)
async def log_out(request: Request, gateway: GatewayOf) -> Response:
    """End the session."""
    gateway.origins.refuse_foreign(request)
    response = Response(status_code=204)
    gateway.sessions.close(request, response)
    return response


def _with_header(request: Request, token: str) -> HTTPConnection:
    """The request as it would be with the token in its header."""
    others = [(name, value) for name, value in request.scope["headers"] if name not in (b"authorization", b"cookie")]
    header = (b"authorization", b"Bearer " + token.encode())
    return HTTPConnection({**request.scope, "headers": [*others, header]})


def _who(caller: Caller) -> Who:
    return Who(caller=caller.name, namespace=caller.namespace)
