"""What the project needs of a store, whatever its kind.

Names are relative to the store's root and use ``/`` as the separator. A file is complete under its name, or absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from talkingvideo_api.errors import ErrorCode, StageError

MAX_READ = 16 << 20
"""Most bytes of a file that is read into memory, such as a plan."""


class MissingFileError(Exception):
    """The store has no file of that name."""


@dataclass(frozen=True)
class FileInfo:
    """What a store knows about a file.

    Attributes:
        bytes: Size.
        sha256: Digest of the content, hexadecimal, or None where the file was written without one.
    """

    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class ListedFile:
    """An entry of a listing.

    Attributes:
        name: Relative to the store's root.
        bytes: Size.
        modified: When the file was last written, with time zone.
    """

    name: str
    bytes: int
    modified: datetime


class Budget:
    """Counts what is read of a file: whoever may write to the store chooses its size, and may change it meanwhile.

    Args:
        uri: The file, for the error.
        limit: Most bytes.
    """

    def __init__(self, uri: str, limit: int) -> None:
        self._uri = uri
        self._limit = limit
        self._spent = 0

    def spend(self, count: int) -> None:
        """Count bytes.

        Raises:
            StageError: E_WORKSPACE, not retryable, when they are more than the limit.
        """
        self._spent += count
        if self._spent > self._limit:
            message = (
                f"{self._uri} is larger than {self._limit:,} bytes: it was not written by this project. Delete it, and "
                "retry."
            )
            raise StageError(ErrorCode.WORKSPACE, message, retryable=False)


class Store(Protocol):
    """A folder or a bucket."""

    def uri(self, name: str) -> str:
        """The file's URI, without secrets."""
        ...

    def stat(self, name: str) -> FileInfo | None:
        """Size and digest of a file, or None if it does not exist."""
        ...

    def list(self, prefix: str = "") -> Iterator[ListedFile]:
        """List the files whose names begin with a prefix, in no particular order.

        Files that are written or deleted meanwhile may be listed or not. Unfinished files are never listed.

        Args:
            prefix: A string, not a folder: ``ab`` lists ``ab/c`` and ``abc``. Everything when empty.

        Yields:
            Files in all subfolders.
        """
        ...

    def read(self, name: str) -> bytes:
        """Read a small file, of at most `MAX_READ` bytes: whoever may write to the store chooses its size.

        Raises:
            MissingFileError: It does not exist.
            StageError: E_WORKSPACE, not retryable, when it is larger.
        """
        ...

    def get(self, name: str, destination: Path, limit: int) -> None:
        """Copy a file out of the store; the destination is complete or absent.

        Args:
            name: The file.
            destination: Where to copy it.
            limit: Most bytes: whoever may write to the store chooses how many there are.

        Raises:
            MissingFileError: It does not exist.
            StageError: E_WORKSPACE, not retryable, when it is larger.
        """
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a file into the store, and replace what has that name."""
        ...

    def put_new(self, name: str, source: Path) -> bool:
        """Copy a file into the store unless the name is taken.

        Returns:
            Whether it was written: of several writers, only the first gets True.
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a file. A file that does not exist is no error."""
        ...
