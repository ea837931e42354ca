"""What the errors of S3 services mean: one table for stores and for inputs."""

from __future__ import annotations

from enum import Enum, auto

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

S3_ERRORS = (ClientError, BotoCoreError, Boto3Error)
"""Everything that a boto3 client raises for requests."""


class S3ErrorKind(Enum):
    """What an error means for the request."""

    MISSING = auto()
    """The object does not exist."""
    REFUSED = auto()
    """The credentials do not allow it, or the bucket is not there for them: the same request fails again."""
    NO_CREDENTIALS = auto()
    """The client found no credentials."""
    TAKEN = auto()
    """A conditional write found the name in use."""
    BUSY = auto()
    """Another conditional write or a deletion of the name is under way: who is first is not yet known (409 of
    PutObject in the Amazon S3 API Reference)."""
    NO_ANSWER = auto()
    """The service was not reached, or the connection broke."""
    OTHER = auto()
    """Anything else, such as a service that asks to slow down: the same request may succeed later."""


CODES = {
    S3ErrorKind.MISSING: ("NoSuchKey", "NoSuchVersion", "NotFound", "404", "InvalidObjectState"),
    S3ErrorKind.REFUSED: (
        "AccessDenied",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "TemporaryRedirect",
        "301",
        "307",
        "401",
        "403",
    ),
    S3ErrorKind.TAKEN: ("PreconditionFailed", "412"),
    S3ErrorKind.BUSY: ("ConditionalRequestConflict", "OperationAborted"),
}
"""Codes by meaning (Amazon S3 API Reference, "Error responses"). Numbers are HTTP statuses: an answer to HEAD has no body,
and botocore then reports the status as the code. Of ``InvalidObjectState`` (archived) nothing can be read."""

KINDS = {code: kind for kind, codes in CODES.items() for code in codes}


def s3_error_code(error: Exception) -> str | None:
    """The service's code, such as ``NoSuchKey``, or None where the service did not answer or gave no code."""
    if not isinstance(error, ClientError):
        return None
    return str(error.response.get("Error", {}).get("Code", "")) or None


def s3_error_kind(error: Exception) -> S3ErrorKind:
    """Classify an error out of `S3_ERRORS`."""
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return S3ErrorKind.NO_CREDENTIALS
    if not isinstance(error, ClientError):
        return S3ErrorKind.NO_ANSWER
    return KINDS.get(s3_error_code(error) or "", S3ErrorKind.OTHER)
