"""An S3 bucket as a store, of any maker: AWS, Ceph, MinIO, SeaweedFS, versitygw."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.base import MissingFileError, Stored

SINGLE_PUT_LIMIT = 5 * 1024**3
"""Bytes: larger files need a multipart upload (Amazon S3 User Guide, "Uploading objects")."""

DIGEST_METADATA = "sha256"
REFUSED = {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "NoSuchBucket", "ExpiredToken", "403", "401"}
MISSING = {"NoSuchKey", "404", "NotFound"}
TAKEN = {"PreconditionFailed", "412"}

BUSY = {"ConditionalRequestConflict", "OperationAborted"}
"""Somebody else is writing or removing the name just now: nobody knows yet who is first (Amazon S3, PutObject: 409)."""

PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between attempts to write a busy name."""

CONTENT_TYPES = {".mp4": "video/mp4", ".jpg": "image/jpeg", ".json": "application/json", ".png": "image/png"}


def s3_client(connection: S3Connection) -> Any:
    """Make a client; credentials come from the standard chain (environment, pod identity, configuration).

    Checksums are sent only where the operation requires them: services other than AWS's often know no others.
    """
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        s3={"addressing_style": connection.addressing_style},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.Session()  # boto3's default one is global, and keeps the credentials that it saw first
    return session.client("s3", endpoint_url=connection.endpoint, region_name=connection.region, config=config)


class BusyNameError(Exception):
    """The name is being written by somebody else; ask again."""


class S3Store:
    """Objects of a bucket below a prefix.

    Args:
        client: See `s3_client`.
        bucket: The bucket.
        prefix: Keys begin with it, without a slash at its ends.
        sleep: Waits for a busy name.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._sleep = sleep

    def uri(self, name: str) -> str:
        """See `Store`."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def stat(self, name: str) -> Stored | None:
        """See `Store`."""
        try:
            with self._failures("read", name):
                head = self._client.head_object(Bucket=self._bucket, Key=self._key(name))
        except MissingFileError:
            return None
        metadata = {key.lower(): value for key, value in head.get("Metadata", {}).items()}
        return Stored(head["ContentLength"], metadata.get(DIGEST_METADATA))

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with self._failures("read", name):
            body: bytes = self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"].read()
            return body

    def get(self, name: str, destination: Path) -> None:
        """See `Store`. boto3 downloads beside the destination and renames."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        with self._failures("read", name):
            self._client.download_file(self._bucket, self._key(name), str(destination))

    def put(self, name: str, source: Path) -> None:
        """See `Store`. An object appears whole, at the end of its upload."""
        with self._failures("write", name):
            if source.stat().st_size < SINGLE_PUT_LIMIT:
                self._put_object(name, source)
            else:
                self._upload_parts(name, source)

    def put_new(self, name: str, source: Path) -> bool:
        """See `Store`. ``If-None-Match: *`` lets one of several writers win (RFC 9110, 13.1.2)."""
        if source.stat().st_size >= SINGLE_PUT_LIMIT:
            if self.stat(name) is not None:
                return False
            self.put(name, source)
            return True
        for pause in PAUSES:
            try:
                with self._failures("write", name):
                    self._put_object(name, source, IfNoneMatch="*")
            except FileExistsError:
                return False
            except BusyNameError:
                self._sleep(pause)
            else:
                return True
        raise StageError(ErrorCode.WORKSPACE, f"Could not write {self.uri(name)}: others keep writing it.")

    def remove(self, name: str) -> None:
        """See `Store`. S3 answers alike whether it was there or not."""
        with self._failures("remove", name):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(name))

    def _put_object(self, name: str, source: Path, **conditions: str) -> None:
        with source.open("rb") as body:
            self._client.put_object(
                Bucket=self._bucket, Key=self._key(name), Body=body, **_description(name, source), **conditions
            )

    def _upload_parts(self, name: str, source: Path) -> None:
        with source.open("rb") as body:
            self._client.upload_fileobj(body, self._bucket, self._key(name), ExtraArgs=_description(name, source))

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    @contextmanager
    def _failures(self, doing: str, name: str) -> Iterator[None]:
        """Translate the service's errors; messages name bucket and key, never credentials."""
        try:
            yield
        except (NoCredentialsError, PartialCredentialsError) as error:
            message = "There are no S3 credentials: give the store a secretName or a serviceAccountName."
            raise StageError(ErrorCode.STORE_ACCESS, message) from error
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in MISSING:
                raise MissingFileError(name) from error
            if code in TAKEN:
                raise FileExistsError(name) from error
            if code in BUSY:
                raise BusyNameError(name) from error
            if code in REFUSED:
                message = f"The S3 service refuses to {doing} s3://{self._bucket}/{self._key(name)} ({code})."
                raise StageError(ErrorCode.STORE_ACCESS, message) from error
            message = f"Could not {doing} s3://{self._bucket}/{self._key(name)} ({code or 'no error code'})."
            raise StageError(ErrorCode.WORKSPACE, message) from error
        except (BotoCoreError, Boto3Error) as error:
            message = f"Could not {doing} s3://{self._bucket}/{self._key(name)}: {type(error).__name__}."
            raise StageError(ErrorCode.WORKSPACE, message) from error


def _description(name: str, source: Path) -> dict[str, Any]:
    content_type = CONTENT_TYPES.get(Path(name).suffix, "application/octet-stream")
    return {"ContentType": content_type, "Metadata": {DIGEST_METADATA: _sha256(source)}}


def _sha256(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
