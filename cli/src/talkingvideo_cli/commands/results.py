"""``download`` and ``open``: the result of a video."""

from __future__ import annotations

import hashlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from talkingvideo_cli.commands.session import Session
from talkingvideo_cli.exits import CommandError, ExitStatus, usage
from talkingvideo_cli.explanations import require_success
from talkingvideo_cli.printing import out, tell
from talkingvideo_cli.store import Result, StoreOptions
from talkingvideo_cli.view import VideoView


async def download(session: Session, name: str, destination: Path, options: StoreOptions, *, replace: bool) -> None:
    """Copy the result of a video to a file, whose content is checked.

    Args:
        session: The cluster.
        name: Name of the object.
        destination: The file, or a folder for it.
        options: How to reach the store.
        replace: Whether an existing file is replaced.

    Raises:
        CommandError: There is no result, or the file exists.
    """
    file = destination / f"{name}.mp4" if destination.is_dir() else destination
    if file.exists() and not replace:
        raise usage(f"{file} exists: give another -o, or --force")
    view = await _finished(session, name)
    result = Result.of(str(view.output["uri"]), options)
    _fetch(result, file, str(view.output.get("sha256", "")), int(view.output["bytes"]))
    out(str(file))


async def open_result(
    session: Session, name: str, options: StoreOptions, seconds: int, launch: Callable[[str], object] | None
) -> None:
    """Print an address that opens the result: the public one, or one that works for a while.

    Args:
        session: The cluster.
        name: Name of the object.
        options: How to reach the store.
        seconds: How long the address works.
        launch: Opens an address; not called where the output is no terminal, whose reader wants the address.

    Raises:
        CommandError: There is no result.
    """
    view = await _finished(session, name)
    url = view.output.get("url")
    if not url:
        url = Result.of(str(view.output["uri"]), options).presigned(seconds)
    out(str(url))
    if launch is not None and sys.stdout.isatty():
        launch(str(url))


async def _finished(session: Session, name: str) -> VideoView:
    view = VideoView.of(await session.get(name))
    require_success(view)
    if not view.output:
        what = "was a dry run" if view.outcome else f"is {view.phase}, {view.percent}%"
        raise CommandError(ExitStatus.NOT_FOUND, f"{name} has no result: it {what}")
    return view


def _fetch(result: Result, file: Path, sha256: str, size: int) -> None:
    """Download beside the file, compare with the digest in status, and move into place."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=file.parent, prefix=".talkingvideo-") as folder:
            part = Path(folder) / file.name
            result.download(part, size)
            with part.open("rb") as content:
                found = hashlib.file_digest(content, "sha256").hexdigest()
            if found != sha256:
                tell(f"status says sha256 {sha256}, and the store has {found}")
                raise CommandError(
                    ExitStatus.FAILED, f"{result.location} is not the result any more: something has replaced it"
                )
            part.replace(file)
    except OSError as error:
        raise usage(f"{file}: {error.strerror}") from error
