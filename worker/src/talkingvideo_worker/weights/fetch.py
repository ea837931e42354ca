"""Fetches published weights: the commits and files that this release pins, resumable, each in place only when it is whole.

A file is checked against the hub's checksum and against the release's sha256. The checksums of fetched files are kept in ``fetched.json``: a second run asks the hub what it has and fetches only what is
new. What is not pinned is trusted on first use (``trust.py``).
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from httpx2 import HTTPError
from huggingface_hub import HfApi, ModelInfo, hf_hub_url
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.progress import ProgressCallback
from talkingvideo_worker.weights.location import PublishedFiles
from talkingvideo_worker.weights.lock import cannot_write, folder_lock, require_space
from talkingvideo_worker.weights.pins import Pins, release_pins
from talkingvideo_worker.weights.record import record_checksum, recorded_checksums
from talkingvideo_worker.weights.trust import TRUSTED, TrustedOnFirstUse

PARTIAL = ".fetching"
"""Folder of partial downloads; may be removed while no command runs."""

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""Errors of the disk; broken connections have other numbers, or none."""


@dataclass(frozen=True)
class HubFile:
    """A file of the hub.

    Attributes:
        published: The row that asks for it.
        commit: Of the repository, so that all files belong to one state of it.
        name: In the repository.
        bytes: Its size.
        checksum: The hub's: sha256 of large files, git's blob id of small ones.
        pinned: The release's sha256; None where it has none.
    """

    published: PublishedFiles
    commit: str
    name: str
    bytes: int
    checksum: str
    pinned: str | None

    @property
    def destination(self) -> Path:
        """Where it goes, relative to the folder of weights."""
        return self.published.destination(self.name)

    @property
    def has_sha256(self) -> bool:
        """Whether the hub's checksum is the sha256 of the content."""
        return len(self.checksum) == 64

    def matches(self, path: Path) -> bool:
        """Whether a file is the hub's and the release's."""
        if self.has_sha256:
            return file_digest(path) == self.checksum
        return _git_blob_id(path) == self.checksum and self.pinned in (None, file_digest(path))


def fetch_weights(
    folder: Path,
    published: Collection[PublishedFiles],
    progress: ProgressCallback,
    endpoint: str | None = None,
    pins: Pins | None = None,
) -> None:
    """Fetch the files that the folder does not have yet.

    Args:
        folder: The folder of weights; created when it does not exist.
        published: Which files.
        progress: Called for every file.
        endpoint: Of the hub; ``HF_ENDPOINT`` or the public one when absent. A token is read from ``HF_TOKEN``.
        pins: Which commits and files; this release's when absent.

    Raises:
        StageError: E_DOWNLOAD_FAILED when the hub cannot be reached, a checksum is wrong or the hub has another file than the
            release or than it had when it was trusted; E_WORKSPACE for a full disk or
            a folder that cannot be written.
    """
    with folder_lock(folder, progress):
        _fetch_missing(folder, published, progress, endpoint, release_pins() if pins is None else pins)


def _fetch_missing(
    folder: Path, published: Collection[PublishedFiles], progress: ProgressCallback, endpoint: str | None, pins: Pins
) -> None:
    hub, trust = HfApi(endpoint=endpoint), TrustedOnFirstUse(folder)
    wanted = [file for row in published for file in _list_files(hub, row, pins, trust)]
    for file in wanted:
        _require_trusted(file, trust)
    unpinned = sum(file.pinned is None for file in wanted)
    if unpinned:
        progress(
            0.0, f"{unpinned} of {len(wanted)} files have no sha256 in this release: {TRUSTED} holds the hub to today's"
        )
    missing = [file for file in wanted if not _is_fetched(folder, file)]
    partial = sum(path.stat().st_size for file in missing if (path := _partial_file(folder, file)).is_file())
    require_space(folder, sum(file.bytes for file in missing) - partial, "The weights")
    total, done = sum(file.bytes for file in missing) or 1, 0
    for file in missing:
        progress(done / total, f"Fetching {file.destination} ({file.bytes / 1e9:.2f} GB)")
        _fetch(folder, file, endpoint)
        done += file.bytes
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    progress(1.0, f"{len(missing)} files fetched, {len(wanted) - len(missing)} were there")


def _list_files(hub: HfApi, published: PublishedFiles, pins: Pins, trust: TrustedOnFirstUse) -> Iterator[HubFile]:
    """The files of a row, at its commit."""
    branch = f"{published.repository}@{published.revision}"
    commit = pins.of(published).commit or trust.known(branch)
    info = _ask(hub, published, commit or published.revision)
    if commit is None and info.sha:
        trust.remember(branch, info.sha)
    found = [sibling for sibling in info.siblings or () if published.includes(sibling.rfilename)]
    for pattern in published.files:
        if not any(fnmatchcase(sibling.rfilename, pattern) for sibling in found):
            message = f"The repository {published.repository} has no {pattern} at {commit or published.revision}."
            raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False)
    for sibling in found:
        name, checksum = sibling.rfilename, sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        yield HubFile(
            published,
            info.sha or published.revision,
            name,
            sibling.size or 0,
            checksum or "",
            pins.sha256(published, name),
        )


def _ask(hub: HfApi, published: PublishedFiles, revision: str) -> ModelInfo:
    try:
        return hub.model_info(published.repository, revision=revision, files_metadata=True)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        message = (
            f"The hub gives no access to the repository {published.repository}: if it asks for consent, give it on the "
            "repository's page and pass a token in HF_TOKEN."
        )
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False) from error
    except (OSError, HTTPError) as error:
        raise _unreachable(published) from error


def _require_trusted(file: HubFile, trust: TrustedOnFirstUse) -> None:
    """Refuse a file whose checksum on the hub is not the release's, or not the one that was trusted before."""
    if file.pinned is not None:
        if file.has_sha256 and file.checksum != file.pinned:
            message = (
                f"The hub has another {file.destination} than this release: its sha256 is {file.checksum}, not {file.pinned}. "
                "Do not use it; if HF_ENDPOINT names a mirror, ask whoever runs it."
            )
            raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False)
        return
    what = f"{file.published.repository}@{file.commit}/{file.name}"
    known = trust.known(what)
    if known is not None and known != file.checksum:
        message = (
            f"The hub has another {file.destination} than when it was fetched first: its checksum is {file.checksum}, not "
            f"{known}, at the same commit. Remove {TRUSTED} from the folder if you trust the new one."
        )
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False)
    trust.remember(what, file.checksum)


def _is_fetched(folder: Path, file: HubFile) -> bool:
    """Whether the folder has the file; one that another program put there is accepted when its checksum is right."""
    path = folder / file.destination
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    if recorded_checksums(folder).get(str(file.destination)) == file.checksum and (
        file.has_sha256 or file.pinned is None
    ):
        return True
    if file.matches(path):
        record_checksum(folder, file.destination, file.checksum)
        return True
    return False


def _fetch(folder: Path, file: HubFile, endpoint: str | None) -> None:
    """Fetch one file, resuming an earlier run, and put it in its place when its checksum is right."""
    partial = _partial_file(folder, file)
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        _download(file, partial, endpoint)
    except (OSError, HTTPError) as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise cannot_write(folder / file.destination, error) from error
        raise _unreachable(file.published) from error
    if not file.matches(partial):
        partial.unlink()
        message = f"{file.destination} arrived with a wrong checksum: run the command again to fetch it once more."
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message)
    (folder / file.destination).parent.mkdir(parents=True, exist_ok=True)
    partial.replace(folder / file.destination)
    record_checksum(folder, file.destination, file.checksum)


def _download(file: HubFile, partial: Path, endpoint: str | None) -> None:
    """Append to a partial file what it lacks.

    ``hf_hub_download`` resumes after a broken connection, but not after a killed process: it removes what it has.
    """
    fetched = partial.stat().st_size if partial.exists() else 0
    if fetched == file.bytes:
        return
    if fetched > file.bytes:
        partial.unlink()
        fetched = 0
    url = hf_hub_url(file.published.repository, file.name, revision=file.commit, endpoint=endpoint)
    with partial.open("ab") as out:
        http_get(url, out, resume_size=fetched, headers=build_hf_headers(), expected_size=file.bytes)


def _unreachable(published: PublishedFiles) -> StageError:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    message = (
        f"{published.repository} could not be fetched from {endpoint}. Run the command again: it resumes where it stopped. "
        "HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy."
    )
    return StageError(ErrorCode.DOWNLOAD_FAILED, message)


def _partial_file(folder: Path, file: HubFile) -> Path:
    """The file's partial download, which an earlier run may have begun."""
    return folder / PARTIAL / f"{file.checksum}.part"


def _git_blob_id(path: Path) -> str:
    """Git's id of a file's content; only for small files, which are not stored as LFS."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
