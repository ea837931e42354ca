"""The objects of a local gateway, in one SQLite file.

What has been answered is on the disk: every write is committed with a full sync before it returns.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from talkingvideo_gateway.errors import AlreadyExistsError, UnavailableError

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    document TEXT NOT NULL,
    PRIMARY KEY (namespace, name)
);
CREATE TABLE IF NOT EXISTS versions (last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS folders (uri TEXT NOT NULL);
"""

Document = dict[str, Any]


class Database:
    """Objects by namespace and name; one process at a time.

    Args:
        folder: The folder of the file; created where it is missing.

    Raises:
        UnavailableError: Another process has it open.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise UnavailableError(f"Another gateway is running with {folder}.") from error
        # One thread at a time uses it: the event loop's.
        self._connection = sqlite3.connect(folder / "videos.sqlite", isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.executescript(SCHEMA)
        if self._connection.execute("SELECT 1 FROM versions").fetchone() is None:
            self._connection.execute("INSERT INTO versions VALUES (0)")
        self._follow(f"{folder.resolve().as_uri()}/")

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
        self._lock.close()

    def all(self) -> Iterator[Document]:
        """Every object in the order of creation."""
        for (document,) in self._connection.execute("SELECT document FROM objects ORDER BY number"):
            yield json.loads(document)

    def create(self, document: Document) -> Document:
        """Store a new object; its version is set.

        Raises:
            AlreadyExistsError: There is one of that name.
        """
        namespace, name = _key(document)
        with self._connection:
            version = self._next_version()
            stored = _with_version(document, version)
            try:
                self._connection.execute(
                    "INSERT INTO objects VALUES (?, ?, ?, ?)", (namespace, name, version, json.dumps(stored))
                )
            except sqlite3.IntegrityError as error:
                raise AlreadyExistsError(f"There is a video named {name} already.", field="name") from error
        return stored

    def replace(self, document: Document) -> Document:
        """Store the new state of an object; its version is set."""
        with self._connection:
            stored = _with_version(document, self._next_version())
            self._connection.execute(
                "UPDATE objects SET document = ? WHERE namespace = ? AND name = ?",
                (json.dumps(stored), *_key(document)),
            )
        return stored

    def delete(self, namespace: str, name: str) -> None:
        """Remove an object."""
        with self._connection:
            self._connection.execute("DELETE FROM objects WHERE namespace = ? AND name = ?", (namespace, name))

    def _follow(self, uri: str) -> None:
        """Let objects name the folder's files where they are now: somebody may have moved it since it was last open."""
        known = self._connection.execute("SELECT uri FROM folders").fetchone()
        if known is None:
            self._connection.execute("INSERT INTO folders VALUES (?)", (uri,))
        elif known[0] != uri:
            self._connection.execute("BEGIN")
            with self._connection:
                self._connection.execute("UPDATE objects SET document = replace(document, ?, ?)", (known[0], uri))
                self._connection.execute("UPDATE folders SET uri = ?", (uri,))

    def _next_version(self) -> int:
        (version,) = self._connection.execute("UPDATE versions SET last = last + 1 RETURNING last").fetchone()
        return int(version)


def _key(document: Document) -> tuple[str, str]:
    metadata = document["metadata"]
    return metadata["namespace"], metadata["name"]


def _with_version(document: Document, version: int) -> Document:
    return {**document, "metadata": {**document["metadata"], "resourceVersion": str(version)}}
