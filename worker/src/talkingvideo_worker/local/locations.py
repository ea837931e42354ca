"""Folders of a local run, checked before any work is done."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from talkingvideo_api.errors import StageError
from talkingvideo_api.resource import DNS_SUBDOMAIN


@dataclass(frozen=True)
class LocalLocations:
    """Folders of a local run.

    Attributes:
        out: For results.
        workspace: For finished chunks; kept, so that a second run finds them.
    """

    out: Path
    workspace: Path

    def require_writable(self) -> None:
        """Try to write, before minutes are spent on what could not be kept.

        Raises:
            StageError: E_INPUT_VALIDATION, naming the option.
        """
        _require_writable(self.out, "--out")
        _require_writable(self.workspace, "--workspace")


def default_workspace() -> Path:
    """The user's cache folder, as the XDG base directory specification has it."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "talkingvideo" / "workspace"


def parse_mounts(options: Iterable[str]) -> dict[str, Path]:
    """Folders by the claim that they stand for.

    Args:
        options: ``claim=DIR`` each.

    Raises:
        StageError: E_INPUT_VALIDATION, repeating the option.
    """
    claims: dict[str, Path] = {}
    for option in options:
        name, _, folder = option.partition("=")
        if not re.fullmatch(DNS_SUBDOMAIN, name) or not folder:
            raise StageError.invalid(
                f"--mount {option}: give claim=DIR, such as media=./media for pvc://media/face.png."
            )
        if not Path(folder).is_dir():
            raise StageError.invalid(f"--mount {option}: there is no folder {folder}.")
        if name in claims:
            raise StageError.invalid(f"--mount {option}: {name} is mounted already, from {claims[name]}.")
        claims[name] = Path(folder)
    return claims


def _require_writable(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StageError.invalid(f"{option} {folder}: nothing can be written there ({error.strerror}).") from error
