"""Fetches published weights: resumable, checked against the hub's checksums, each file in place only when it is whole.

The checksums of fetched files are kept in ``fetched.json``: a second run asks the hub what it has and fetches only what is
new.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.files import atomic_write, file_digest
from talkingvideo_worker.progress import ProgressCallback
from talkingvideo_worker.weights.location import PublishedFiles
from talkingvideo_worker.weights.lock import cannot_write, folder_lock, require_space

RECORD = "fetched.json"
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
        checksum: sha256 of large files, git's blob id of small ones.
    """

    published: PublishedFiles
    commit: str
    name: str
    bytes: int
    checksum: str

    @property
    def destination(self) -> Path:
        """Where it goes, relative to the folder of weights."""
        return self.published.destination(self.name)

    def matches(self, path: Path) -> bool:
        """Whether a file has the hub's checksum."""
        if len(self.checksum) == 64:
            return file_digest(path) == self.checksum
        return _git_blob_id(path) == self.checksum


def fetch_weights(
    folder: Path, published: Collection[PublishedFiles], progress: ProgressCallback, endpoint: str | None = None
) -> None:
    """Fetch the files that the folder does not have yet.

    Args:
        folder: The folder of weights; created when it does not exist.
        published: Which files.
        progress: Called for every file.
        endpoint: Of the hub; ``HF_ENDPOINT`` or the public one when absent. A token is read from ``HF_TOKEN``.

    Raises:
        StageError: E_DOWNLOAD_FAILED when the hub cannot be reached or a checksum is wrong, E_WORKSPACE for a full disk or
            a folder that cannot be written.
    """
    with folder_lock(folder, progress):
        _fetch_missing(folder, published, progress, endpoint)


def _fetch_missing(
    folder: Path, published: Collection[PublishedFiles], progress: ProgressCallback, endpoint: str | None
) -> None:
    hub = HfApi(endpoint=endpoint)
    wanted = [file for row in published for file in _list_files(hub, row)]
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


def _list_files(hub: HfApi, published: PublishedFiles) -> Iterator[HubFile]:
    """The files of a row, as the hub has them now."""
    try:
        info = hub.model_info(published.repository, revision=published.revision, files_metadata=True)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        message = (
            f"The hub gives no access to the repository {published.repository}: if it asks for consent, give it on the "
            "repository's page and pass a token in HF_TOKEN."
        )
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False) from error
    except (OSError, HTTPError) as error:
        raise _unreachable(published) from error
    found = [sibling for sibling in info.siblings or () if published.includes(sibling.rfilename)]
    for pattern in published.files:
        if not any(published.includes(sibling.rfilename) for sibling in found):
            message = f"The repository {published.repository} has no {pattern} at revision {published.revision}."
            raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False)
    for sibling in found:
        checksum = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        yield HubFile(published, info.sha or published.revision, sibling.rfilename, sibling.size or 0, checksum or "")


def _is_fetched(folder: Path, file: HubFile) -> bool:
    """Whether the folder has the file; one that another program put there is accepted when its checksum is right."""
    path = folder / file.destination
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    if _record(folder).get(str(file.destination)) == file.checksum:
        return True
    if file.matches(path):
        _remember(folder, file)
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
    _remember(folder, file)


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


def _record(folder: Path) -> dict[str, Any]:
    """Checksums of fetched files, by destination."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _remember(folder: Path, file: HubFile) -> None:
    record = _record(folder) | {str(file.destination): file.checksum}
    with atomic_write(folder / RECORD) as unfinished:
        unfinished.write_text(json.dumps(record, indent=1, sort_keys=True))


def _git_blob_id(path: Path) -> str:
    """Git's id of a file's content; only for small files, which are not stored as LFS."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
