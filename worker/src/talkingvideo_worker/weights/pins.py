"""Which commit of each published repository this release uses, and the sha256 of its files: ``pins.json``.

The file is data of this repository, written by ``scripts/update_weights.py`` (``make update-weights``). A commit or a sha256 may
be null there: nobody who wrote the file could know it. Releases have none (``make release-check``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from talkingvideo_worker.weights.location import PublishedFiles

FILE = Path(__file__).with_name("pins.json")


@dataclass(frozen=True)
class Pin:
    """What is known about one reference of a repository.

    Attributes:
        repository: Its name on the hub.
        follows: The branch or pull request that the commit was taken from.
        commit: What is fetched; None where it is not known.
        files: sha256 by name in the repository; None where it is not known.
    """

    repository: str
    follows: str
    commit: str | None = None
    files: dict[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Pins:
    """All pins, one for each repository and reference."""

    rows: tuple[Pin, ...] = ()

    def of(self, published: PublishedFiles) -> Pin:
        """The pin for some files; one that knows nothing where there is none."""
        unknown = Pin(published.repository, published.revision)
        return next((pin for pin in self.rows if _key(pin) == _key(unknown)), unknown)

    def sha256(self, published: PublishedFiles, name: str) -> str | None:
        """The sha256 of a file of the repository; None where it is not known."""
        return self.of(published).files.get(name)

    def by_destination(self, published: Iterable[PublishedFiles]) -> dict[Path, str]:
        """The known sha256 of each file, by its place in the folder of weights."""
        return {
            row.destination(name): sha256
            for row in published
            for name, sha256 in self.of(row).files.items()
            if sha256 is not None and row.includes(name)
        }

    def unknown(self) -> Iterator[str]:
        """One sentence for each commit or sha256 that is not known."""
        for pin in self.rows:
            if pin.commit is None:
                yield f"{pin.repository} has no commit (it follows {pin.follows})"
            for name, sha256 in pin.files.items():
                if sha256 is None:
                    yield f"{pin.repository} has no sha256 of {name}"


def _key(pin: Pin) -> tuple[str, str]:
    return pin.repository, pin.follows


@cache
def release_pins() -> Pins:
    """The pins of this release."""
    return read_pins(FILE)


def read_pins(file: Path) -> Pins:
    """Read a file of pins."""
    return Pins(tuple(Pin(**row) for row in json.loads(file.read_text())))


def write_pins(pins: Pins, file: Path) -> None:
    """Write a file of pins, in the order of its rows, files by name."""
    rows = [
        {
            "repository": pin.repository,
            "follows": pin.follows,
            "commit": pin.commit,
            "files": dict(sorted(pin.files.items())),
        }
        for pin in pins.rows
    ]
    file.write_text(json.dumps(rows, indent=1) + "\n")
