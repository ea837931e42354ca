"""Inputs from ``s3://bucket/key``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from talkingvideo_api.errors import StageError
from talkingvideo_api.uris import safe_uri
from talkingvideo_clients.stores.s3_errors import S3_ERRORS, S3ErrorKind, s3_error_code, s3_error_kind
from talkingvideo_worker.inputs.deadline import Deadline
from talkingvideo_worker.inputs.errors import access_denied, permanent, transient

S3Client = Any
"""A boto3 S3 client. boto3 creates its classes at run time, so there is no type to name."""

PIECE = 65_536


def read_object(
    uri: str, client: Callable[[], S3Client] | None, max_bytes: int, field: str, deadline: Deadline
) -> Iterator[bytes]:
    """Stream an object.

    Args:
        uri: ``s3://bucket/key``; the key is used literally: S3 keys have no escapes.
        client: Makes the client, with the pod's credentials.
        max_bytes: Larger objects are refused before they are read.
        field: For errors.
        deadline: Checked before each piece.

    Raises:
        StageError: E_INPUT_VALIDATION, E_STORE_ACCESS, or E_DOWNLOAD_FAILED.
        DeadlinePassedError: When no time is left.
    """
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket or not key:
        raise StageError.invalid("An s3:// address needs a bucket and a key: s3://bucket/key.", field)
    if client is None:
        raise StageError.invalid("s3:// inputs need a store with credentials, and none is set up here.", field)
    where = safe_uri(uri)
    try:
        answer = client().get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > max_bytes:
            raise StageError.invalid(
                f"The object is {answer['ContentLength']:,} bytes, and the limit is {max_bytes:,} bytes.", field
            )
        with closing(answer["Body"]) as body:
            for piece in body.iter_chunks(PIECE):
                deadline.remaining()
                yield piece
    except S3_ERRORS as error:
        raise _explained(error, where, field) from error


def _explained(error: Exception, where: str, field: str) -> StageError:
    code = s3_error_code(error)
    match s3_error_kind(error):
        case S3ErrorKind.MISSING:
            return permanent(f"{where} does not exist.", field)
        case S3ErrorKind.NO_CREDENTIALS:
            return access_denied(f"There are no credentials for {where}.", field)
        case S3ErrorKind.REFUSED:
            message = (
                f"The store refuses {where} ({code}). Some stores give this answer also when the key does not exist and the "
                "credentials may not list the bucket."
            )
            return access_denied(message, field)
        case S3ErrorKind.NO_ANSWER:
            reason = f"the store did not answer ({type(error).__name__})"
        case _:
            reason = f"the store answered {code or 'without a code'}"
    return transient(f"{where} could not be read: {reason}.", field)
