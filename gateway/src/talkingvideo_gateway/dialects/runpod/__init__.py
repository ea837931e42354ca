"""RunPod's serverless API: jobs under ``/v2/{endpoint}``, with the inputs of three workers for talking videos."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.dialects.runpod.requests import NAME
from talkingvideo_gateway.dialects.runpod.routes import PATH, router
from talkingvideo_gateway.errors import GatewayError
from talkingvideo_gateway.http.dialect import Dialect


def error(failure: GatewayError) -> Response:
    """An error in RunPod's form."""
    return JSONResponse({"error": str(failure)}, failure.status)


DIALECT = Dialect(NAME, (PATH,), router, error)
