"""What stages ask of a store.

Names are relative to the store's root, with ``/`` between their parts. A file is whole under its name or not there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class MissingFileError(Exception):
    """There is no file of that name."""


@dataclass(frozen=True)
class Stored:
    """What a store knows of a file.

    Attributes:
        bytes: Its size.
        sha256: Digest of its content, or None where the store was not told when it was written.
    """

    bytes: int
    sha256: str | None


class Store(Protocol):
    """A folder or a bucket."""

    def uri(self, name: str) -> str:
        """The file's URI, without secrets."""
        ...

    def stat(self, name: str) -> Stored | None:
        """What is known of a file, or None if it is not there."""
        ...

    def read(self, name: str) -> bytes:
        """A small file's content.

        Raises:
            MissingFileError: It is not there.
        """
        ...

    def get(self, name: str, destination: Path) -> None:
        """Copy a file out of the store; whole or not at all.

        Raises:
            MissingFileError: It is not there.
        """
        ...

    def put(self, name: str, source: Path) -> None:
        """Copy a file into the store, in place of what has that name."""
        ...

    def put_new(self, name: str, source: Path) -> bool:
        """Copy a file into the store unless its name is taken.

        Returns:
            Whether it was written: of several writers, the first.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...
