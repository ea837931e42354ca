"""Fetching the published weights: resumable, checked against the hub's checksums, each file in its place when whole.

What was fetched is written down in ``fetched.json``: a second run asks the hub what there is, and fetches what is new.
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
from talkingvideo_worker.engines.infinitetalk.weights.alone import alone_in, cannot_write, require_space
from talkingvideo_worker.engines.infinitetalk.weights.sources import SOURCES, Part, Source
from talkingvideo_worker.files import file_digest
from talkingvideo_worker.progress import ProgressCallback

RECORD = "fetched.json"
PARTIAL = ".fetching"
"""Downloads on their way; what is here may be removed when no command runs."""

OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO)
"""What a disk answers; connections that break have other numbers, or none."""


@dataclass(frozen=True)
class HubFile:
    """A file of the hub.

    Attributes:
        source: What it belongs to.
        commit: The repository's, so that all files are of one state.
        name: In the repository.
        bytes: Its size.
        checksum: sha256 of large files, git's blob id of small ones.
    """

    source: Source
    commit: str
    name: str
    bytes: int
    checksum: str

    @property
    def destination(self) -> Path:
        """Where it goes, in the folder of weights."""
        return self.source.destination(self.name)

    def matches(self, path: Path) -> bool:
        """Whether a file has the hub's checksum."""
        if len(self.checksum) == 64:
            return file_digest(path) == self.checksum
        return _git_blob_id(path) == self.checksum


def fetch_weights(
    folder: Path, note: ProgressCallback, parts: Collection[Part] = tuple(Part), endpoint: str | None = None
) -> None:
    """Fetch what is not there yet.

    Args:
        folder: Of the weights; made if it is missing.
        note: Told of every file.
        parts: Which.
        endpoint: Of the hub; ``HF_ENDPOINT`` or the public one when absent. A token is read from ``HF_TOKEN``.

    Raises:
        StageError: E_DOWNLOAD_FAILED when the hub cannot be had or a checksum is wrong, E_WORKSPACE for a full disk or a
            folder that cannot be written.
    """
    with alone_in(folder, note):
        _fetch_missing(folder, note, parts, endpoint)


def _fetch_missing(folder: Path, note: ProgressCallback, parts: Collection[Part], endpoint: str | None) -> None:
    hub = HfApi(endpoint=endpoint)
    wanted = [file for source in SOURCES if source.part in parts for file in _listed(hub, source)]
    missing = [file for file in wanted if not _is_there(folder, file)]
    begun = sum(part.stat().st_size for file in missing if (part := _part(folder, file)).is_file())
    require_space(folder, sum(file.bytes for file in missing) - begun, "The weights")
    total, done = sum(file.bytes for file in missing) or 1, 0
    for file in missing:
        note(done / total, f"Fetching {file.destination} ({file.bytes / 1e9:.2f} GB)")
        _fetch(folder, file, endpoint)
        done += file.bytes
    shutil.rmtree(folder / PARTIAL, ignore_errors=True)
    note(1.0, f"{len(missing)} files fetched, {len(wanted) - len(missing)} were there")


def _listed(hub: HfApi, source: Source) -> Iterator[HubFile]:
    """The files of a source, as the hub has them now."""
    try:
        info = hub.model_info(source.repository, revision=source.revision, files_metadata=True)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        message = (
            f"The hub has no repository {source.repository} for us: where it asks for consent, give it on its page and "
            "pass a token in HF_TOKEN."
        )
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False) from error
    except (OSError, HTTPError) as error:
        raise _unreachable(source) from error
    found = [sibling for sibling in info.siblings or () if source.wants(sibling.rfilename)]
    for pattern in source.files:
        if not any(source.wants(sibling.rfilename) for sibling in found):
            message = f"The repository {source.repository} has no {pattern} at revision {source.revision}."
            raise StageError(ErrorCode.DOWNLOAD_FAILED, message, retryable=False)
    for sibling in found:
        checksum = sibling.lfs.sha256 if sibling.lfs else sibling.blob_id
        yield HubFile(source, info.sha or source.revision, sibling.rfilename, sibling.size or 0, checksum or "")


def _is_there(folder: Path, file: HubFile) -> bool:
    """Whether a file was fetched before; one that somebody else put there is believed when its checksum is right."""
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
    """Fetch one file, going on where an earlier run stopped, and put it in its place when its checksum is right."""
    part = _part(folder, file)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _download(file, part, endpoint)
    except (OSError, HTTPError) as error:
        if isinstance(error, OSError) and error.errno in OF_THE_DISK:
            raise cannot_write(folder / file.destination, error) from error
        raise _unreachable(file.source) from error
    if not file.matches(part):
        part.unlink()
        message = f"{file.destination} came with a wrong checksum: run the command again to fetch it anew."
        raise StageError(ErrorCode.DOWNLOAD_FAILED, message)
    (folder / file.destination).parent.mkdir(parents=True, exist_ok=True)
    part.replace(folder / file.destination)
    _remember(folder, file)


def _download(file: HubFile, part: Path, endpoint: str | None) -> None:
    """Append to a partial file what is missing of it.

    ``hf_hub_download`` would go on after a broken connection, but not after a killed process: it removes what it has.
    """
    begun = part.stat().st_size if part.exists() else 0
    if begun == file.bytes:
        return
    if begun > file.bytes:
        part.unlink()
        begun = 0
    url = hf_hub_url(file.source.repository, file.name, revision=file.commit, endpoint=endpoint)
    with part.open("ab") as out:
        http_get(url, out, resume_size=begun, headers=build_hf_headers(), expected_size=file.bytes)


def _unreachable(source: Source) -> StageError:
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    message = (
        f"{source.repository} could not be fetched from {endpoint}. Run the command again: it goes on where it stopped. "
        "HF_ENDPOINT names a mirror, HTTPS_PROXY a proxy."
    )
    return StageError(ErrorCode.DOWNLOAD_FAILED, message)


def _part(folder: Path, file: HubFile) -> Path:
    """What an earlier run may have begun."""
    return folder / PARTIAL / f"{file.checksum}.part"


def _record(folder: Path) -> dict[str, Any]:
    """Checksums of what was fetched, by place."""
    try:
        record = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _remember(folder: Path, file: HubFile) -> None:
    part = folder / f"{RECORD}.part"
    record = _record(folder) | {str(file.destination): file.checksum}
    part.write_text(json.dumps(record, indent=1, sort_keys=True))
    part.replace(folder / RECORD)


def _git_blob_id(path: Path) -> str:
    """Git's name of a file's content; only for small files, which are not stored as LFS."""
    content = path.read_bytes()
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
