"""From a place's URI to its store."""

from __future__ import annotations

from pathlib import Path
from urllib.request import url2pathname

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.stage_input import S3Connection
from talkingvideo_api.uris import parse_object_uri
from talkingvideo_clients.stores.base import Store
from talkingvideo_clients.stores.local import LocalStore


def open_store(uri: str, s3: S3Connection, claims: Path) -> Store:
    """Open the folder that a URI names.

    Args:
        uri: ``s3://bucket/prefix``, ``pvc://claim/path`` or ``file:///path``.
        s3: How to reach the S3 service.
        claims: Where claims are mounted, each under its name.

    Raises:
        StageError: E_WORKSPACE for another scheme, E_INPUT_VALIDATION for what is no URI or climbs with ``..``.
    """
    try:
        place = parse_object_uri(uri)
    except ValueError as error:
        raise StageError(ErrorCode.INPUT_VALIDATION, f"Nothing can be kept there: {error}.") from error
    match place.scheme:
        case "s3":
            from talkingvideo_clients.stores.s3 import S3Store, s3_client

            return S3Store(s3_client(s3), place.container, place.path)
        case "pvc":
            return LocalStore(claims / place.container / place.path, base_uri=uri)
        case "file":
            return LocalStore(Path(url2pathname(place.path)))
    raise StageError(ErrorCode.WORKSPACE, f"A store cannot be of the kind {place.scheme}://.")


def open_beside(uri: str, s3: S3Connection, claims: Path) -> tuple[Store, str]:
    """Open the folder of a file, and say the file's name in it."""
    folder, _, name = uri.rpartition("/")
    return open_store(folder, s3, claims), name
