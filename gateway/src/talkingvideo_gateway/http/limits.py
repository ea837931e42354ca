"""What is refused before a route reads it: bodies that are too large, and compressed ones."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Refuses larger bodies as soon as they are read, whether their length is announced or not.

    The refusal is raised where a route reads, so that it is answered in the route's dialect.

    Args:
        app: The application.
        most: Most bytes of a body.
        smaller: Most bytes of bodies that anybody may send, by path.
    """

    def __init__(self, app: ASGIApp, most: int, smaller: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._most = most
        self._smaller = smaller or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = dict(scope["headers"]).get(b"content-length", b"")
        most = self._smaller.get(scope["path"], self._most)
        received = 0

        async def limited() -> Message:
            nonlocal received
            if announced.isdigit() and int(announced[:20]) > most:
                raise _refusal(most)
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _refusal(most)
            return message

        await self._app(scope, limited, send)


def _refusal(most: int) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A body may have {most:,} bytes.", {"Connection": "close"}
    )


async def plain_body(request: Request) -> None:
    """Refuse a compressed body: what it grows to is known too late.

    Raises:
        HTTPException: 415.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        message = "Send the body without a Content-Encoding."
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message, {"Accept-Encoding": "identity"})
