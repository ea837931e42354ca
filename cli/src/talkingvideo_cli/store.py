"""The store, opened with the person's own credentials: uploads, downloads, presigned addresses.

The operator's configuration names the store, but authors may not read it. So a person names it: with an option, or in the
environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError

from talkingvideo_api.errors import StageError
from talkingvideo_api.keys import key_problem
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import ObjectUri, parse_object_uri
from talkingvideo_cli.exits import CommandError, ExitStatus, usage
from talkingvideo_cli.files import LocalFile
from talkingvideo_cli.refusals import of_stage_error
from talkingvideo_clients.stores.base import MissingFileError
from talkingvideo_clients.stores.environment import connection_from_environment
from talkingvideo_clients.stores.presign import LONGEST_EXPIRY, presigned_url
from talkingvideo_clients.stores.s3 import S3Store, s3_client

UPLOADS = "inputs"
"""Folder of uploaded files in the folder of the namespace, which its objects may always read."""


@dataclass(frozen=True)
class StoreOptions:
    """How to reach the store.

    Attributes:
        endpoint: URL of the service; that of AWS's own variables and files when absent.
        addressing_style: ``path``, ``virtual`` or ``auto``.
    """

    endpoint: str | None = None
    addressing_style: str = "auto"

    def connection(self) -> S3Connection:
        """The connection, as AWS's own tools would make it.

        Raises:
            CommandError: There are no credentials.
        """
        found = connection_from_environment()
        try:
            session = boto3.Session()
            if session.get_credentials() is None:
                raise CommandError(ExitStatus.REFUSED, NO_CREDENTIALS)
        except BotoCoreError as error:
            raise CommandError(ExitStatus.REFUSED, f"AWS's configuration cannot be used: {error}") from error
        region = found.region if os.environ.get("AWS_REGION") else session.region_name or found.region
        endpoint = self.endpoint or found.endpoint
        return S3Connection(endpoint=endpoint, region=region, addressing_style=self.addressing_style)


NO_CREDENTIALS = "there are no credentials for the store: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for the aws command"


@dataclass(frozen=True)
class UploadFolder:
    """Where a namespace's files are uploaded to.

    Attributes:
        location: The folder: that of the namespace in the store, which its objects may always read.
    """

    location: ObjectUri

    @classmethod
    def of(cls, store: str, namespace: str) -> UploadFolder:
        """The folder of a namespace in a store.

        Args:
            store: ``s3://bucket/prefix``, as the profile has it.
            namespace: The namespace of the object.

        Raises:
            CommandError: The store is none that files can be uploaded to.
        """
        try:
            location = parse_object_uri(store.rstrip("/"))
        except ValueError as error:
            raise usage(f"--store {store}: {error}") from error
        if location.scheme != "s3":
            raise usage(
                f"--store {store}: write s3://BUCKET/PREFIX; files reach a volume only from inside of the cluster"
            )
        if location.path and (problem := key_problem(location.path)):
            raise usage(f"--store {store}: the prefix {problem}")
        return cls(location.child(f"{namespace}/{UPLOADS}"))

    def uris(self, files: Collection[LocalFile]) -> Mapping[LocalFile, str]:
        """The addresses that the files have once they are uploaded."""
        return {file: str(self.location.child(file.key)) for file in files}

    def upload(self, files: Collection[LocalFile], options: StoreOptions, tell: Callable[[str], None]) -> None:
        """Upload the files that are not there yet.

        Args:
            files: The files.
            options: How to reach the store.
            tell: Called with a sentence for each file.

        Raises:
            CommandError: The store refuses, or does not answer.
        """
        store = S3Store(s3_client(options.connection()), self.location.container, self.location.path)
        try:
            for file in dict.fromkeys(files):
                present = store.stat(file.key)
                if present is not None and present.bytes == file.bytes:
                    tell(f"{file.path.name} is in the store already")
                    continue
                tell(f"uploading {file.path.name} ({file.bytes:,} bytes)")
                store.put(file.key, file.path)
        except StageError as error:
            raise of_stage_error(error) from error


@dataclass(frozen=True)
class Result:
    """A file of a result in a store.

    Attributes:
        location: Where it lies.
        options: How to reach the store.
    """

    location: ObjectUri
    options: StoreOptions

    @classmethod
    def of(cls, uri: str, options: StoreOptions) -> Result:
        """The file of ``status.output.uri``.

        Raises:
            CommandError: It lies on a volume.
        """
        location = parse_object_uri(uri)
        if location.scheme != "s3":
            claim = f"the PersistentVolumeClaim {location.container}"
            message = f"the result is {uri}: mount {claim} in a pod and copy the file with kubectl cp"
            raise CommandError(ExitStatus.NOT_FOUND, message)
        return cls(location, options)

    def download(self, destination: Path, size: int) -> None:
        """Copy it to a file, which is complete or absent.

        Args:
            destination: The file.
            size: Bytes that it has according to status; a larger file is not the result.

        Raises:
            CommandError: The store does not have it, refuses or does not answer.
        """
        folder, _, name = self.location.path.rpartition("/")
        store = S3Store(s3_client(self.options.connection()), self.location.container, folder)
        try:
            store.get(name, destination, size)
        except MissingFileError as error:
            raise CommandError(ExitStatus.NOT_FOUND, f"{self.location} is not in the store any more") from error
        except StageError as error:
            raise of_stage_error(error) from error
        except OSError as error:
            raise usage(f"{destination}: {error.strerror}") from error

    def presigned(self, seconds: int) -> str:
        """An address that opens it without credentials, for a while.

        Raises:
            CommandError: The time is longer than the service allows.
        """
        if not 1 <= seconds <= LONGEST_EXPIRY:
            raise usage(f"--expires {seconds}: give 1 to {LONGEST_EXPIRY:,} seconds (7 days)")
        client = s3_client(self.options.connection())
        return presigned_url(
            client,
            self.location.container,
            self.location.path,
            seconds,
            content_type="video/mp4",
            content_disposition="inline",
        )
