"""A bucket of an S3 service as a store: AWS, Ceph, MinIO, SeaweedFS, versitygw."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from mimetypes import MimeTypes
from pathlib import Path
from typing import Any, BinaryIO

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_clients.stores.base import MAX_READ, Budget, FileInfo, ListedFile, MissingFileError
from talkingvideo_clients.stores.s3_errors import S3_ERRORS, S3ErrorKind, s3_error_code, s3_error_kind

SINGLE_PUT_LIMIT = 5 * 1024**3
"""Bytes: larger files need a multipart upload (Amazon S3 User Guide, "Uploading objects")."""

DIGEST_METADATA = "sha256"

PIECE = 1 << 20
"""Bytes of a file that are in memory at once while it is read in pieces."""

PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between attempts to write a busy name."""

MEDIA_TYPES = MimeTypes()
"""Python's own table. The module's functions would also read files of the machine, which differ."""


def s3_client(connection: S3Connection) -> Any:
    """Make a client; credentials come from the standard chain (environment, pod identity, configuration).

    Checksums are sent only where the operation requires them: services other than AWS's often know no others. Signature
    Version 4 is stated since boto3 still presigns with version 2 where nothing is, which newer services refuse.
    """
    config = Config(
        retries={"mode": "standard", "max_attempts": 5},
        connect_timeout=10,
        read_timeout=60,
        signature_version="s3v4",
        s3={"addressing_style": connection.addressing_style},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    session = boto3.Session()  # boto3's default session is global and keeps the first credentials that it finds
    client = session.client("s3", endpoint_url=connection.endpoint, region_name=connection.region, config=config)
    client.meta.events.register("before-call.s3.HeadBucket", _no_region)
    return client


def _no_region(**_: Any) -> tuple[AWSResponse, dict[str, Any]]:
    """Answer HeadBucket without a request.

    This project sends none; botocore does, to find a bucket's region after a redirect that does not name it. A service that
    redirects that request as well would have it sent again from inside itself, until Python's stack ends. A redirect that
    names the region, as AWS's do, is still followed, once.
    """
    answer = {"Error": {"Code": "301"}, "ResponseMetadata": {"HTTPStatusCode": 301, "HTTPHeaders": {}}}
    return AWSResponse("", 301, {}, None), answer


class BusyNameError(Exception):
    """Another request is writing the name; the same request may succeed later."""


class S3Store:
    """The objects of a bucket whose keys begin with a prefix.

    Args:
        client: See `s3_client`.
        bucket: The bucket.
        prefix: Of all keys; slashes at both ends are ignored.
        sleep: Waits before a busy name is written again.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix.strip("/")
        self._sleep = sleep

    def uri(self, name: str) -> str:
        """See `Store`."""
        return f"s3://{self._bucket}/{self._key(name)}"

    def stat(self, name: str) -> FileInfo | None:
        """See `Store`."""
        try:
            with self._failures("read", name):
                head = self._client.head_object(Bucket=self._bucket, Key=self._key(name))
        except MissingFileError:
            return None
        metadata = {key.lower(): value for key, value in head.get("Metadata", {}).items()}
        return FileInfo(head["ContentLength"], metadata.get(DIGEST_METADATA))

    def list(self, prefix: str = "") -> Iterator[ListedFile]:
        """See `Store`. Keys that end with a slash are skipped: consoles make them to show empty folders."""
        pages = iter(
            self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._key(prefix))
        )
        while True:
            with self._failures("list", prefix):
                page = next(pages, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    name = entry["Key"].removeprefix(self._key(""))
                    yield ListedFile(name, entry["Size"], entry["LastModified"])

    def read(self, name: str) -> bytes:
        """See `Store`."""
        with self._failures("read", name), closing(self._body(name)) as body:
            content: bytes = body.read(MAX_READ + 1)
        Budget(self.uri(name), MAX_READ).spend(len(content))
        return content

    def _body(self, name: str) -> Any:
        return self._client.get_object(Bucket=self._bucket, Key=self._key(name))["Body"]

    def get(self, name: str, destination: Path, limit: int) -> None:
        """See `Store`. boto3 downloads parts into a file beside the destination and renames it; a callback that raises ends it."""
        destination.parent.mkdir(parents=True, exist_ok=True)
        received = Budget(self.uri(name), limit).spend
        with self._failures("read", name):
            self._client.download_file(self._bucket, self._key(name), str(destination), Callback=received)

    def read_range(self, name: str, start: int, stop: int) -> Generator[bytes, None, None]:
        """Read a part of a file of any size, in pieces of at most `PIECE` bytes, all of one version of the file.

        Args:
            name: The file.
            start: First byte.
            stop: End of the range, not included; above start.

        Raises:
            MissingFileError: It does not exist.
            StageError: The store does not answer, also in the middle of the file.
        """
        with self._failures("read", name):
            answer = self._client.get_object(
                Bucket=self._bucket, Key=self._key(name), Range=f"bytes={start}-{stop - 1}"
            )
        with closing(answer["Body"]) as body:
            while True:
                with self._failures("read", name):
                    piece = body.read(PIECE)
                if not piece:
                    return
                yield piece

    def put_stream(self, name: str, content: BinaryIO, sha256: str | None = None) -> None:
        """Write a file from what can be read from the present position on, without holding it in memory.

        Args:
            name: The file; replaced where it exists.
            content: At most 5 GiB. It must be seekable: the request is signed before it is sent, and may be sent again.
            sha256: Digest of the content, hexadecimal, where it is known.
        """
        metadata = {} if sha256 is None else {DIGEST_METADATA: sha256}
        with self._failures("write", name):
            self._client.put_object(Bucket=self._bucket, Key=self._key(name), Body=content, Metadata=metadata)

    def put(self, name: str, source: Path) -> None:
        """See `Store`. S3 shows an object only once its upload is complete."""
        with self._failures("write", name):
            if source.stat().st_size < SINGLE_PUT_LIMIT:
                self._put_object(name, source)
            else:
                self._upload_parts(name, source)

    def put_new(self, name: str, source: Path) -> bool:
        """See `Store`. ``If-None-Match: *`` makes one of several writers win (RFC 9110, 13.1.2)."""
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
        raise StageError(ErrorCode.WORKSPACE, f"Could not write {self.uri(name)}: other requests keep writing it.")

    def delete(self, name: str) -> None:
        """See `Store`. S3 gives the same answer whether the object existed or not."""
        with self._failures("delete", name):
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
    def _failures(self, action: str, name: str) -> Iterator[None]:
        """Translate the service's errors; messages name bucket and key, never credentials."""
        try:
            yield
        except S3_ERRORS as error:
            raise self._translated(error, action, name) from error

    def _translated(self, error: Exception, action: str, name: str) -> Exception:
        where, code = f"s3://{self._bucket}/{self._key(name)}", s3_error_code(error)
        match s3_error_kind(error):
            case S3ErrorKind.MISSING:
                return MissingFileError(name)
            case S3ErrorKind.TAKEN:
                return FileExistsError(name)
            case S3ErrorKind.BUSY:
                return BusyNameError(name)
            case S3ErrorKind.NO_CREDENTIALS:
                message = "There are no S3 credentials: give the store a secretName or a serviceAccountName."
                return StageError(ErrorCode.STORE_ACCESS, message)
            case S3ErrorKind.REFUSED:
                message = f"The S3 service refuses to {action} {where} ({code})."
                return StageError(ErrorCode.STORE_ACCESS, message)
            case S3ErrorKind.NO_ANSWER:
                return StageError(ErrorCode.WORKSPACE, f"Could not {action} {where}: {type(error).__name__}.")
            case S3ErrorKind.OTHER:
                return StageError(ErrorCode.WORKSPACE, f"Could not {action} {where} ({code or 'no error code'}).")


def _description(name: str, source: Path) -> dict[str, Any]:
    media_type, _ = MEDIA_TYPES.guess_type(name)
    return {"ContentType": media_type or "application/octet-stream", "Metadata": {DIGEST_METADATA: _sha256(source)}}


def _sha256(source: Path) -> str:
    with source.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
