"""What a dialect is: routes under paths of its own, and its own way to say that something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from talkingvideo_gateway.errors import (
    ConflictError,
    ForbiddenError,
    GatewayError,
    InvalidRequestError,
    NotFoundError,
    QueueFullError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
)

ErrorResponse = Callable[[GatewayError], Response]
"""Writes an error in a dialect's form."""


@dataclass(frozen=True)
class Dialect:
    """A wire format.

    Attributes:
        name: As requests record it.
        paths: What its routes' paths begin with; errors below them, unknown routes included, are written in its form.
        router: Its routes.
        error: Writes an error.
        invalid: Writes what is wrong with a body or a form; as an error where None.
    """

    name: str
    paths: tuple[str, ...]
    router: APIRouter
    error: ErrorResponse
    invalid: Callable[[RequestValidationError], Response] | None = None

    def owns(self, path: str) -> bool:
        """Whether a path belongs to it."""
        return any(path == prefix or path.startswith(f"{prefix.rstrip('/')}/") for prefix in self.paths)


BY_STATUS: dict[int, type[GatewayError]] = {
    kind.status: kind
    for kind in (
        ConflictError,
        ForbiddenError,
        InvalidRequestError,
        NotFoundError,
        QueueFullError,
        TooLargeError,
        UnauthenticatedError,
        UnavailableError,
    )
}


def add_dialects(app: FastAPI, dialects: tuple[Dialect, ...], otherwise: ErrorResponse) -> None:
    """Add the routes of dialects, and the handlers that write each error in the form of its path's dialect.

    Args:
        app: The application.
        dialects: The first one that owns a path writes its errors.
        otherwise: Writes errors of all other paths.
    """
    for dialect in dialects:
        app.include_router(dialect.router)

    def dialect_of(request: Request) -> Dialect | None:
        return next((dialect for dialect in dialects if dialect.owns(request.scope["path"])), None)

    def respond(request: Request, error: GatewayError, status: int) -> Response:
        dialect = dialect_of(request)
        response = otherwise(error) if dialect is None else dialect.error(error)
        # What HTTP itself refuses (405, 415 …) keeps its status, in the dialect's form.
        if status != error.status and response.status_code == error.status:
            response.status_code = status
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        if isinstance(error, UnauthenticatedError):
            response.headers["WWW-Authenticate"] = "Bearer"
        return response

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, GatewayError)
        return respond(request, error, error.status)

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = BY_STATUS.get(error.status_code, InvalidRequestError)
        response = respond(request, kind(str(error.detail)), error.status_code)
        response.headers.update(error.headers or {})
        return response

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        dialect = dialect_of(request)
        if dialect is not None and dialect.invalid is not None:
            return dialect.invalid(error)
        return respond(request, InvalidRequestError.of(error.errors(), below=1), InvalidRequestError.status)

    async def unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return respond(request, GatewayError("Something went wrong here; it is in the log."), GatewayError.status)

    app.add_exception_handler(GatewayError, refused)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(Exception, unexpected)
