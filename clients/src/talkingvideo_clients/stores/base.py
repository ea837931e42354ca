"""What the project needs of a store, whatever its kind.

Names are relative to the store's root and use ``/`` as the separator. A file is complete under its name, or absent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol


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
        """Read a small file.

        Raises:
            MissingFileError: It does not exist.
        """
        ...

    def get(self, name: str, destination: Path) -> None:
        """Copy a file out of the store; the destination is complete or absent.

        Raises:
            MissingFileError: It does not exist.
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
