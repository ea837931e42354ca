"""Fetches an input into a local file. Its content is not examined here: that is done later, without credentials."""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.uris import safe_uri, scheme_of
from talkingvideo_worker.files import atomic_write
from talkingvideo_worker.inputs.deadline import Deadline, DeadlinePassedError
from talkingvideo_worker.inputs.errors import transient
from talkingvideo_worker.inputs.https import HttpsSource
from talkingvideo_worker.inputs.offline import Mounts, read_claim, read_configmap, read_data, read_local
from talkingvideo_worker.inputs.pinned import Resolver, system_resolver
from talkingvideo_worker.inputs.policy import Fetched, FetchPolicy

if TYPE_CHECKING:
    from talkingvideo_worker.inputs.objects import S3Client

FIRST_PAUSE = 0.5
"""Seconds before the second attempt; doubled before each further one."""


class Fetcher:
    """Fetches inputs under one policy.

    Args:
        policy: The rules.
        mounts: Volumes of this pod; no ``pvc://`` or ``configmap://`` input can be read when absent.
        headers: Sent with ``https://`` requests; secrets.
        s3: Makes the client for ``s3://`` inputs.
        resolver: Resolves host names.
        tls: TLS settings; the policy's when absent.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        policy: FetchPolicy,
        mounts: Mounts | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        s3: Callable[[], S3Client] | None = None,
        resolver: Resolver = system_resolver,
        tls: ssl.SSLContext | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._policy = policy
        self._mounts = mounts
        self._headers = headers
        self._s3 = s3
        self._resolver = resolver
        self._tls = tls
        self._sleep = sleep

    def fetch(self, uri: str, destination: Path, field: str) -> Fetched:
        """Fetch one input into a file, which appears complete or not at all.

        Args:
            uri: The input.
            destination: The file to write; an existing one is replaced.
            field: Path of the resource's field that holds the URI, for errors.

        Raises:
            StageError: E_INPUT_VALIDATION, E_DOWNLOAD_FAILED, E_STORE_ACCESS or E_WORKSPACE.
        """
        scheme = scheme_of(uri)
        if scheme not in self._policy.allowed_schemes:
            allowed = ", ".join(self._policy.allowed_schemes)
            raise StageError.invalid(
                f"Inputs cannot come from {scheme[:20] or 'an address without a scheme'!r}; {allowed} can.", field
            )
        deadline = Deadline.after(self._policy.timeout_seconds)
        for pause in self._pauses():
            try:
                return self._attempt(uri, destination, field, deadline)
            except DeadlinePassedError:
                raise self._too_slow(uri, field) from None
            except StageError as error:
                if error.retryable and deadline.passed:
                    raise self._too_slow(uri, field) from None
                if not error.retryable or pause is None:
                    raise
            self._sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _pauses(self) -> Iterator[float | None]:
        """The pause after each attempt; None after the last."""
        for attempt in range(self._policy.attempts - 1):
            yield FIRST_PAUSE * 2**attempt
        yield None

    def _attempt(self, uri: str, destination: Path, field: str, deadline: Deadline) -> Fetched:
        pieces = self._read(uri, field, deadline)
        try:
            destination.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(destination) as unfinished:
                size, digest = self._write(pieces, unfinished, field, deadline)
        except OSError as error:
            raise StageError(
                ErrorCode.WORKSPACE, f"The input could not be written: {error.strerror}.", field=field
            ) from error
        return Fetched(destination, size, digest)

    def _read(self, uri: str, field: str, deadline: Deadline) -> Iterator[bytes]:
        match scheme_of(uri):
            case "https":
                return HttpsSource(self._policy, self._headers, self._resolver, self._tls).read(uri, field, deadline)
            case "s3":
                from talkingvideo_worker.inputs.objects import read_object  # boto3 takes long to import

                return read_object(uri, self._s3, self._policy.max_bytes, field, deadline)
            case "pvc":
                return read_claim(uri, self._mounts, field)
            case "configmap":
                return read_configmap(uri, self._mounts, field)
            case "data":
                return read_data(uri, field)
            case "file":
                return read_local(uri, field)
        raise StageError.invalid("Inputs cannot come from an address of this kind.", field)

    def _write(self, pieces: Iterator[bytes], unfinished: Path, field: str, deadline: Deadline) -> tuple[int, str]:
        """Write the content up to the limit. The size that a sender announces is never trusted."""
        size, digest = 0, hashlib.sha256()
        with unfinished.open("wb") as file:
            for piece in pieces:
                deadline.remaining()
                size += len(piece)
                if size > self._policy.max_bytes:
                    raise StageError.invalid(
                        f"The file is larger than the limit of {self._policy.max_bytes:,} bytes.", field
                    )
                digest.update(piece)
                file.write(piece)
        if not size:
            raise StageError.invalid("The file is empty.", field)
        return size, digest.hexdigest()

    def _too_slow(self, uri: str, field: str) -> StageError:
        return transient(f"{safe_uri(uri)} did not arrive within {self._policy.timeout_seconds:g} seconds.", field)
