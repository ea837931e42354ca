"""The native API's errors: problem details (RFC 9457) that OpenAI's clients can read, too.

Problem details may have further members. OpenAI's clients take what stands under ``error`` and look at nothing else, so it has a
member of that name with the same content in their words.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse, Response

from talkingvideo_gateway.errors import GatewayError

MEDIA_TYPE = "application/problem+json"

OPENAI_TYPES = {
    HTTPStatus.UNAUTHORIZED: "authentication_error",
    HTTPStatus.FORBIDDEN: "permission_error",
    HTTPStatus.NOT_FOUND: "not_found_error",
    HTTPStatus.TOO_MANY_REQUESTS: "rate_limit_error",
}


def error(failure: GatewayError) -> Response:
    """Problem details."""
    return JSONResponse(problem(failure), failure.status, media_type=MEDIA_TYPE)


def problem(failure: GatewayError) -> dict[str, Any]:
    """What a problem's body says."""
    field = None if failure.field is None else _field(failure.field)
    body: dict[str, Any] = {
        "type": f"urn:talkingvideo:{failure.code.replace('_', '-')}",
        "title": failure.status.phrase,
        "status": int(failure.status),
        "detail": failure.message,
        "code": failure.code,
    }
    if field is not None:
        body["field"] = field
    if failure.faults:
        body["errors"] = [{"field": _field(fault.field), "message": fault.message} for fault in failure.faults]
    server = failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    kind = "server_error" if server else OPENAI_TYPES.get(failure.status, "invalid_request_error")
    message = failure.message if field is None else f"{field}: {failure.message}"
    body["error"] = {"message": message, "type": kind, "param": field, "code": failure.code}
    return body


def _field(path: str) -> str:
    """The resource's ``spec`` is the request's ``talkingvideo``."""
    return path.replace("spec.", "talkingvideo.", 1) if path.startswith("spec.") else path
