"""Inputs from ``s3://bucket/key``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from talkingvideo_api.errors import StageError
from talkingvideo_worker.inputs.deadline import Deadline
from talkingvideo_worker.inputs.failures import gone, no_access, refused, transient

S3Client = Any
"""A boto3 S3 client: boto3 makes its classes at run time, so that there is no type to name."""

MISSING = frozenset({"NoSuchKey", "NoSuchVersion", "404", "NotFound", "InvalidObjectState"})
REFUSED = frozenset(
    {
        "AccessDenied",
        "AllAccessDisabled",
        "ExpiredToken",
        "InvalidAccessKeyId",
        "InvalidToken",
        "NoSuchBucket",
        "PermanentRedirect",
        "RequestTimeTooSkewed",
        "SignatureDoesNotMatch",
        "401",
        "403",
    }
)

PIECE = 65_536


def read_object(
    uri: str, client: Callable[[], S3Client] | None, max_bytes: int, field: str, deadline: Deadline
) -> Iterator[bytes]:
    """Stream an object.

    Args:
        uri: ``s3://bucket/key``; the key is taken literally, as S3 has it.
        client: Makes the client, with credentials of the pod.
        max_bytes: An object that is larger is not begun.
        field: For errors.
        deadline: Checked between pieces.

    Raises:
        StageError: E_INPUT_VALIDATION, E_STORE_ACCESS, or E_DOWNLOAD_FAILED.
        DeadlinePassedError: When the time is up.
    """
    bucket, _, key = uri.partition("://")[2].partition("/")
    if not bucket or not key:
        raise refused("An s3:// address needs a bucket and a key: s3://bucket/key.", field)
    if client is None:
        raise refused("s3:// inputs need a store with credentials, and none is set up here.", field)
    where = f"s3://{bucket}/{key}"[:300]
    try:
        answer = client().get_object(Bucket=bucket, Key=key)
        if answer["ContentLength"] > max_bytes:
            raise refused(
                f"The object is {answer['ContentLength']:,} bytes, and the limit is {max_bytes:,} bytes.", field
            )
        with closing(answer["Body"]) as body:
            for piece in body.iter_chunks(PIECE):
                deadline.remaining()
                yield piece
    except (ClientError, BotoCoreError) as error:
        raise _explained(error, where, field) from error


def _explained(error: Exception, where: str, field: str) -> StageError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return no_access(f"There are no credentials for {where}.", field)
    if not isinstance(error, ClientError):
        return transient(f"{where} could not be read: the store did not answer ({type(error).__name__}).", field)
    code = str(error.response.get("Error", {}).get("Code", "unknown"))
    if code in MISSING:
        return gone(f"{where} does not exist.", field)
    if code in REFUSED:
        return no_access(
            f"The store refuses {where} ({code}). Some stores say so too when a key does not exist and the credentials may "
            "not list the bucket.",
            field,
        )
    return transient(f"{where} could not be read: the store answered {code}.", field)
