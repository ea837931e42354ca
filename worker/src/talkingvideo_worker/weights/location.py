"""Where models' weights are: published on the Hugging Face hub, and on this machine in one folder with a folder per model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from talkingvideo_worker.files import user_cache


@dataclass(frozen=True)
class PublishedFiles:
    """Some files of one repository of the hub, and where they belong in the folder of weights.

    Whoever needs weights (an engine, the voice of spoken texts) has its own rows; ``talkingvideo weights fetch`` takes all
    of them.

    Attributes:
        part: What ``weights fetch --only`` calls them, such as ``base``.
        repository: Its name on the hub.
        files: Names in the repository, with ``*`` for any characters.
        folder: Where they go, relative to the folder of weights.
        revision: Branch, tag, commit or pull request.
        flat: Whether the repository's own folders are left out.
    """

    part: str
    repository: str
    files: tuple[str, ...]
    folder: Path
    revision: str = "main"
    flat: bool = False

    def includes(self, name: str) -> bool:
        """Whether a file of the repository is one of these."""
        return any(fnmatchcase(name, pattern) for pattern in self.files)

    def destination(self, name: str) -> Path:
        """Where a file of the repository goes, relative to the folder of weights."""
        return self.folder / (Path(name).name if self.flat else name)


def weights_location() -> Path:
    """The folder of weights: ``TALKINGVIDEO_WEIGHTS``, or one in the user's cache."""
    if given := os.environ.get("TALKINGVIDEO_WEIGHTS"):
        return Path(given)
    return user_cache() / "weights"
