"""Errors as FastAPI's own services write them: ``{"detail": …}``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.errors import GatewayError


def error(failure: GatewayError) -> Response:
    """A text."""
    return JSONResponse({"detail": str(failure)}, failure.status)


def invalid(failure: RequestValidationError) -> Response:
    """A list with an entry for each problem; what was sent is not repeated, it may be a whole file."""
    problems: Sequence[Any] = failure.errors()
    entries = [{key: each[key] for key in ("type", "loc", "msg")} | {"input": None} for each in problems]
    return JSONResponse({"detail": entries}, HTTPStatus.UNPROCESSABLE_ENTITY)
