"""Why a request is refused. Each dialect writes these errors in its own form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request.

    Attributes:
        field: A field of the request, or a path in the resource; empty where it is about the whole.
        message: What is wrong.
    """

    field: str
    message: str


class GatewayError(Exception):
    """A request is refused, for a reason that its sender can read.

    Args:
        message: What is wrong and what to do, without secrets.
        field: What it is about: a field of the request, or a path in the resource.
        retry_after: Seconds after which the same request may be accepted.
        faults: All that is wrong, where more than one thing may be; the first one is in message and field.
    """

    status: ClassVar[HTTPStatus] = HTTPStatus.INTERNAL_SERVER_ERROR
    code: ClassVar[str] = "internal_error"
    """For programs; the same in every dialect that has a place for it and no word of its own."""

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        retry_after: int | None = None,
        faults: tuple[Fault, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after = retry_after
        self.faults = faults

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class InvalidRequestError(GatewayError):
    """The request cannot be used as it is."""

    status = HTTPStatus.BAD_REQUEST
    code = "invalid_request"

    @classmethod
    def of(cls, errors: Sequence[Any], *, below: int = 0) -> Self:
        """What pydantic has found.

        Args:
            errors: Of a ``ValidationError``.
            below: How many parts of each location are left out of the field's path.
        """
        faults = tuple(
            Fault(_path(error["loc"][below:]), error["msg"].removeprefix("Value error, ")) for error in errors
        )
        return cls(faults[0].message, field=faults[0].field or None, faults=faults)


class UnauthenticatedError(GatewayError):
    """Nobody knows who sends the request."""

    status = HTTPStatus.UNAUTHORIZED
    code = "unauthenticated"


class ForbiddenError(GatewayError):
    """The sender is known, and may not do this."""

    status = HTTPStatus.FORBIDDEN
    code = "forbidden"


class NotFoundError(GatewayError):
    """There is no such video, or it belongs to somebody else: the answer does not tell which."""

    status = HTTPStatus.NOT_FOUND
    code = "not_found"


class ConflictError(GatewayError):
    """The video is not in a state in which this can be done."""

    status = HTTPStatus.CONFLICT
    code = "conflict"


class AlreadyExistsError(ConflictError):
    """There is a video of that name."""

    code = "already_exists"


class TooLargeError(GatewayError):
    """A body, or a file in it, exceeds its limit."""

    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    code = "too_large"


class UnprocessableError(GatewayError):
    """An idempotency key is used again with another request."""

    status = HTTPStatus.UNPROCESSABLE_ENTITY
    code = "idempotency_key_reused"


class QueueFullError(GatewayError):
    """The caller has as many unfinished videos as it may have."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    code = "queue_full"


class UnavailableError(GatewayError):
    """What stands behind the gateway does not answer."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    code = "unavailable"


class VideoFailedError(GatewayError):
    """A request that waits for its video gets none, because it has failed."""

    code = "video_failed"


class VideoTimedOutError(VideoFailedError):
    """The video ran past its deadline."""

    status = HTTPStatus.GATEWAY_TIMEOUT
    code = "video_timed_out"


def _path(location: Sequence[int | str]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
