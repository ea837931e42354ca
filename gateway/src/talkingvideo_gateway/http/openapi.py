"""The OpenAPI document: what FastAPI knows of the routes, and what only the dialects know of errors."""

from __future__ import annotations

import json
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from talkingvideo_gateway.errors import NotFoundError
from talkingvideo_gateway.http.dialect import Dialect, ErrorResponse

SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A token, as OpenAI's and RunPod's clients send it."},
    "key": {
        "type": "apiKey",
        "in": "header",
        "name": "Authorization",
        "description": "The token without a word before.",
    },
}
ANY_OF_THEM: list[dict[str, list[str]]] = [{"bearer": []}, {"key": []}, {}]
"""The last one: on loopback nobody is asked."""

METHODS = ("get", "put", "post", "delete", "head", "patch", "options")


def describe(app: FastAPI, dialects: tuple[Dialect, ...], otherwise: ErrorResponse) -> None:
    """Let the application's document tell of errors in each dialect's own form, and of credentials.

    Args:
        app: The application.
        dialects: They own paths.
        otherwise: Writes errors of all other paths.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
            app.openapi_schema = _completed(found, dialects, otherwise)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: dict[str, Any], dialects: tuple[Dialect, ...], otherwise: ErrorResponse) -> dict[str, Any]:
    for path, operations in document["paths"].items():
        write = next((dialect.error for dialect in dialects if dialect.owns(path)), otherwise)
        for method in METHODS:
            if method in operations:
                responses = operations[method]["responses"]
                responses.pop("422", None)
                responses["4XX"] = _refused(write)
    components = document.setdefault("components", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    components["securitySchemes"] = SECURITY_SCHEMES
    return {**document, "security": ANY_OF_THEM}


def _refused(write: ErrorResponse) -> dict[str, Any]:
    """What a dialect's refusals look like, by one of them."""
    example = write(NotFoundError("There is no video of that id."))
    content = {"schema": {"type": "object"}, "example": json.loads(bytes(example.body))}
    return {"description": "The request is refused.", "content": {str(example.media_type): content}}
