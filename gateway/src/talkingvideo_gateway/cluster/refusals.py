"""What the API server's refusals mean for whoever has sent the request. Its own message is never lost."""

from __future__ import annotations

from http import HTTPStatus

from talkingvideo_clients.kube.api import ApiError
from talkingvideo_gateway.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GatewayError,
    InvalidRequestError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)

RETRY_AFTER_SECONDS = 5

MEANINGS: dict[int, type[GatewayError]] = {
    HTTPStatus.BAD_REQUEST: InvalidRequestError,
    HTTPStatus.FORBIDDEN: ForbiddenError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: TooLargeError,
    HTTPStatus.UNPROCESSABLE_ENTITY: InvalidRequestError,
}
"""All other statuses are about the server or this gateway, not about the request."""


def refusal(error: ApiError) -> GatewayError:
    """The error for the sender of the request."""
    if error.reason == "AlreadyExists":
        return AlreadyExistsError(error.message, field="name")
    meaning = MEANINGS.get(error.status)
    if meaning is None:
        return UnavailableError(f"The Kubernetes API: {error}", retry_after=RETRY_AFTER_SECONDS)
    field = next((cause.field for cause in error.causes if cause.field and cause.field != "<nil>"), None)
    return meaning(error.message, field=field)
