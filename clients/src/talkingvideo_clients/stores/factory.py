"""From a location's URI to its store."""

from __future__ import annotations

from pathlib import Path
from urllib.request import url2pathname

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import parse_object_uri, scheme_of
from talkingvideo_clients.stores.base import Store
from talkingvideo_clients.stores.local import LocalStore


def open_store(uri: str, s3: S3Connection, claims: Path) -> Store:
    """Open the folder that a URI names.

    Args:
        uri: ``s3://bucket/prefix``, ``pvc://claim/path`` or ``file:///path``.
        s3: How to reach the S3 service.
        claims: Where PersistentVolumeClaims are mounted, each in a folder of its name.

    Raises:
        StageError: E_WORKSPACE for another scheme, E_INPUT_VALIDATION for what is not a URI or contains ``..``.
    """
    try:
        location = parse_object_uri(uri)
    except ValueError as error:
        raise StageError.invalid(f"The location cannot be used: {error}.") from error
    match location.scheme:
        case "s3":
            from talkingvideo_clients.stores.s3 import S3Store, s3_client

            return S3Store(s3_client(s3), location.container, location.path)
        case "pvc":
            mount = claims / location.container
            return LocalStore(mount / location.path, base_uri=uri, boundary=mount)
        case "file":
            return LocalStore(Path(url2pathname(location.path)))
    raise StageError(ErrorCode.WORKSPACE, f"There is no store for {location.scheme}://; use s3://, pvc:// or file://.")


def open_parent(uri: str, s3: S3Connection, claims: Path) -> tuple[Store, str]:
    """Open the folder that a file is in.

    Returns:
        The folder's store and the file's name in it.
    """
    folder, _, name = uri.rpartition("/")
    return open_store(folder, s3, claims), url2pathname(name) if scheme_of(uri) == "file" else name
