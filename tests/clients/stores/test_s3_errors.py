"""One table says what the errors of S3 services mean."""

from __future__ import annotations

import pytest
from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from talkingvideo_clients.stores.s3_errors import CODES, KINDS, S3ErrorKind, s3_error_code, s3_error_kind


def answer(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (answer("NoSuchKey"), S3ErrorKind.MISSING),
        (answer("404"), S3ErrorKind.MISSING),
        (answer("AccessDenied"), S3ErrorKind.REFUSED),
        (answer("NoSuchBucket"), S3ErrorKind.REFUSED),
        (answer("PreconditionFailed"), S3ErrorKind.TAKEN),
        (answer("ConditionalRequestConflict"), S3ErrorKind.BUSY),
        (answer("SlowDown"), S3ErrorKind.OTHER),
        (ClientError({}, "GetObject"), S3ErrorKind.OTHER),
        (NoCredentialsError(), S3ErrorKind.NO_CREDENTIALS),
        (EndpointConnectionError(endpoint_url="http://store"), S3ErrorKind.NO_ANSWER),
        (S3UploadFailedError("broken"), S3ErrorKind.NO_ANSWER),
    ],
)
def test_an_error_has_one_meaning(error: Exception, kind: S3ErrorKind) -> None:
    assert s3_error_kind(error) is kind


def test_no_code_has_two_meanings() -> None:
    assert len(KINDS) == sum(len(codes) for codes in CODES.values())


def test_only_an_answer_has_a_code() -> None:
    assert s3_error_code(answer("SlowDown")) == "SlowDown"
    assert s3_error_code(ClientError({}, "GetObject")) is None
    assert s3_error_code(NoCredentialsError()) is None
