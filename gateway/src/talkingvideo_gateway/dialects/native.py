"""The native API's errors: problem details (RFC 9457)."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.errors import GatewayError

MEDIA_TYPE = "application/problem+json"


def error(failure: GatewayError) -> Response:
    """Problem details."""
    body = {
        "type": f"urn:talkingvideo:{failure.code.replace('_', '-')}",
        "title": failure.status.phrase,
        "status": int(failure.status),
        "detail": failure.message,
        "code": failure.code,
    }
    if failure.field is not None:
        body["field"] = failure.field
    return JSONResponse(body, failure.status, media_type=MEDIA_TYPE)
