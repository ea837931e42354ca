"""Media given on the command line: files of this machine, and addresses that only the cluster opens."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from mimetypes import MimeTypes
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from talkingvideo_api.uris import CLUSTER_SCHEMES, MAX_DATA_URI, scheme_of
from talkingvideo_cli.exits import usage

MEDIA_TYPES = MimeTypes()
"""Python's own table. The module's functions would also read files of the machine, which differ."""


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    @cached_property
    def sha256(self) -> str:
        """Digest of its content, hexadecimal."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def bytes(self) -> int:
        """Its size."""
        return self.path.stat().st_size

    @property
    def key(self) -> str:
        """Its name in a store: the same content has the same one, so that it is uploaded once."""
        return f"{self.sha256}{self.path.suffix.lower()}"

    def data_uri(self) -> str:
        """A URI that holds its content."""
        media_type = MEDIA_TYPES.guess_type(self.path.name)[0] or "application/octet-stream"
        return f"data:{media_type};base64,{base64.b64encode(self.path.read_bytes()).decode()}"


def local_file(given: str) -> LocalFile | None:
    """The file that an argument names, or None for an address that the cluster opens.

    Raises:
        CommandError: There is no such file, or the cluster opens no such address.
    """
    scheme = scheme_of(given) if "://" in given or given.startswith("data:") else ""
    if scheme in CLUSTER_SCHEMES:
        return None
    if scheme == "http":
        raise usage(f"{given}: the cluster fetches from https:// only; download the file, and give its path")
    if scheme not in ("", "file"):
        raise usage(f"{given}: give a path, or an address that begins with {', '.join(CLUSTER_SCHEMES)}")
    path = Path(url2pathname(urlsplit(given).path) if scheme else given).expanduser()
    if not path.is_file():
        raise usage(f"{given}: there is no such file")
    if path.stat().st_size == 0:
        raise usage(f"{given}: the file is empty")
    return LocalFile(path)


def inline(files: Collection[LocalFile]) -> Mapping[LocalFile, str]:
    """URIs that hold the files' content, for where there is no store to upload to.

    Raises:
        CommandError: They are too large for an object.
    """
    uris = {file: file.data_uri() for file in files if 4 * file.bytes <= 3 * MAX_DATA_URI}
    if len(uris) < len(set(files)) or sum(map(len, uris.values())) > MAX_DATA_URI:
        total = sum(file.bytes for file in files)
        raise usage(
            f"the files have {total:,} bytes, and an object can hold about {3 * MAX_DATA_URI // 4:,}: name the store that the "
            "profile uses with --store s3://BUCKET/PREFIX or in TALKINGVIDEO_STORE, or give addresses that the cluster opens"
        )
    return uris
