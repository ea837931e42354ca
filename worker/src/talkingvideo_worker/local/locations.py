"""Folders of a local run, checked before any work begins."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from talkingvideo_api.errors import StageError
from talkingvideo_api.inputs import inputs_of
from talkingvideo_api.names import DNS_SUBDOMAIN
from talkingvideo_api.resource import TalkingVideo
from talkingvideo_api.uris import scheme_of
from talkingvideo_worker.files import user_cache
from talkingvideo_worker.stages.result_files import RESULT_FILES


@dataclass(frozen=True)
class LocalLocations:
    """Folders of a local run.

    Attributes:
        out: Results.
        workspace: Finished chunks; kept, so that later runs reuse them.
        stem: Name of the only result's files, without suffix. Results are named after their objects when absent.
        option: Option that chose where results are.
    """

    out: Path
    workspace: Path
    stem: str | None = None
    option: str = "--out"

    def result(self, name: str, suffix: str = "") -> Path:
        """A file of a result.

        Args:
            name: Name of the object.
            suffix: Suffix of the file, with its dot.
        """
        return self.out / f"{self.stem or name}{suffix}"

    def require_writable(self) -> None:
        """Create the folders and try to write, before minutes are spent on a result that could not be stored.

        Raises:
            StageError: E_INPUT_VALIDATION with the option.
        """
        _require_writable(self.out, self.option)
        _require_writable(self.workspace, "--workspace")

    def require_apart_from_inputs(self, video: TalkingVideo) -> None:
        """Refuse a result that would replace a file that it is made from, such as a JPEG picture by a thumbnail.

        Raises:
            StageError: E_INPUT_VALIDATION with the field of the input.
        """
        files = {self.result(video.metadata.name, file.suffix).resolve() for file in RESULT_FILES}
        for given in inputs_of(video.spec):
            path = _local_file(given.reference.uri)
            if path is not None and path.resolve() in files:
                message = (
                    f"the result would replace this file, {path.name}: choose another name or folder for the result."
                )
                raise StageError.invalid(message, given.field)


def default_workspace() -> Path:
    """A folder in the user's cache."""
    return user_cache() / "workspace"


def parse_mounts(options: Iterable[str]) -> dict[str, Path]:
    """Parse the folders that stand in for claims.

    Args:
        options: ``claim=DIR`` each.

    Returns:
        Folders by claim.

    Raises:
        StageError: E_INPUT_VALIDATION with the option.
    """
    claims: dict[str, Path] = {}
    for option in options:
        name, _, folder = option.partition("=")
        if not re.fullmatch(DNS_SUBDOMAIN, name) or not folder:
            raise StageError.invalid(
                f"--mount {option}: give claim=DIR, such as media=./media for pvc://media/face.png."
            )
        if not Path(folder).is_dir():
            raise StageError.invalid(f"--mount {option}: folder {folder} does not exist.")
        if name in claims:
            raise StageError.invalid(f"--mount {option}: {name} is already mounted from {claims[name]}.")
        claims[name] = Path(folder)
    return claims


def parse_secrets(folder: Path | None) -> Path | None:
    """Check the folder of ``--secrets``.

    Raises:
        StageError: E_INPUT_VALIDATION with the option.
    """
    if folder is None:
        return None
    if not folder.is_dir():
        raise StageError.invalid(f"--secrets {folder}: the folder does not exist.")
    return folder.resolve()


def _local_file(uri: str) -> Path | None:
    """The file that a URI names, if it is one of this machine."""
    return Path("/", unquote(uri.partition("://")[2].partition("/")[2])) if scheme_of(uri) == "file" else None


def _require_writable(folder: Path, option: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StageError.invalid(f"{option} {folder}: the folder is not writable ({error.strerror}).") from error
