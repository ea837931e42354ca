"""Inputs that need no network: mounted volumes, the user's own disk, and ``data:`` URIs."""

from __future__ import annotations

import base64
import binascii
import errno
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, unquote_to_bytes

from talkingvideo_api.errors import StageError
from talkingvideo_api.keys import WORK_FOLDER, is_work
from talkingvideo_api.uris import MAX_DATA_URI, shown_path
from talkingvideo_clients.stores.beneath import LeadsOutError, NotARegularFileError, open_file
from talkingvideo_worker.inputs.errors import permanent, transient

MAX_HEADER = 16_384

PIECE = 1 << 20
"""Bytes that are read at a time."""

BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
"""A percent sign that no two hexadecimal digits follow (RFC 3986, 2.1)."""


@dataclass(frozen=True)
class Mounts:
    """Folders with the volumes that URIs name.

    Attributes:
        claims: PersistentVolumeClaims, each in a folder of its name.
        configmaps: ConfigMaps, each in a folder of its name; one file per key.
        headers: Secrets of ``headersSecretName``, each in a folder of its name; one file per HTTP header.
    """

    claims: Path
    configmaps: Path
    headers: Path


def read_claim(uri: str, mounts: Mounts | None, field: str) -> Iterator[bytes]:
    """Stream ``pvc://claim/path``."""
    if is_work(unquote(uri.partition("://")[2].partition("/")[2])):
        raise StageError.invalid(
            f"The folder {WORK_FOLDER} holds the work in progress of all videos, which is no input.", field
        )
    remedy = "a local run needs the option --mount CLAIM=DIR"
    return _read_mounted(uri, None if mounts is None else mounts.claims, "PersistentVolumeClaim", remedy, field)


def read_configmap(uri: str, mounts: Mounts | None, field: str) -> Iterator[bytes]:
    """Stream ``configmap://name/key``."""
    remedy = "a local run reads ConfigMaps from the file that has the TalkingVideo"
    return _read_mounted(uri, None if mounts is None else mounts.configmaps, "ConfigMap", remedy, field)


def read_local(uri: str, field: str) -> Iterator[bytes]:
    """Stream ``file:///path``. Only for runs whose user could read the file anyway."""
    host, _, path = uri.partition("://")[2].partition("/")
    if host not in {"", "localhost"}:
        raise StageError.invalid(f"file://{host}/… names another machine; write file:/// and the whole path.", field)
    return _read_inside(Path("/"), unquote(path), f"/{unquote(shown_path(path))}", field)


def _read_mounted(uri: str, volumes: Path | None, kind: str, remedy: str, field: str) -> Iterator[bytes]:
    name, _, path = uri.partition("://")[2].partition("/")
    root = _mounted(volumes).get(name)
    if root is None:
        raise StageError.invalid(f"The {kind} {name!r} is not mounted: {remedy}.", field)
    if not path:
        raise StageError.invalid(f"The address names the {kind} {name!r}, but no file in it.", field)
    return _read_inside(root, unquote(path), f"{shown_path(path)!r} in the {kind} {name!r}", field)


def _mounted(volumes: Path | None) -> dict[str, Path]:
    """Volumes by name. They are listed, not looked up by path: a name such as ``..`` must lead nowhere."""
    return {path.name: path for path in volumes.iterdir()} if volumes is not None and volumes.is_dir() else {}


def _read_inside(root: Path, path: str, shown: str, field: str) -> Iterator[bytes]:
    """Stream a regular file that lies below a folder, wherever its symbolic links lead.

    Links inside the folder are followed (every key of a mounted ConfigMap is one). The resolved path is then opened
    step by step without following links, so that a link that is swapped in meanwhile leads nowhere.
    """
    if "\0" in path or ".." in path.split("/"):
        raise StageError.invalid(f"{shown} is not a path that can be used: it may not contain '..'.", field)
    try:
        descriptor = open_file(root, Path(path.lstrip("/")))
    except LeadsOutError:
        raise StageError.invalid(f"{shown} leads out of its volume through a symbolic link.", field) from None
    except NotARegularFileError:
        raise StageError.invalid(f"{shown} is not a file but a folder, a device or a pipe.", field) from None
    except (FileNotFoundError, NotADirectoryError):
        raise permanent(f"{shown} does not exist.", field) from None
    except PermissionError:
        raise permanent(f"{shown} may not be read by this process.", field) from None
    except OSError as error:
        kind = permanent if error.errno in (errno.ELOOP, errno.ENAMETOOLONG) else transient
        raise kind(f"{shown} cannot be read.", field) from None
    return _pieces(descriptor, shown, field)


def _pieces(descriptor: int, shown: str, field: str) -> Iterator[bytes]:
    try:
        with os.fdopen(descriptor, "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except OSError:
        raise transient(f"{shown} could not be read to its end.", field) from None


def read_headers(folder: Path, secret: str, field: str) -> dict[str, str]:
    """The values of a mounted Secret by their keys, as HTTP headers. The kubelet's own files begin with a dot.

    Args:
        folder: Where Secrets are mounted, each in a folder of its name.
        secret: Name of the Secret.
        field: For errors.

    Raises:
        StageError: E_INPUT_VALIDATION when it is not there, leads elsewhere, or has a value that is no short text.
    """
    mounted = _mounted(folder).get(secret)
    if mounted is None or not mounted.is_dir() or not mounted.resolve().is_relative_to(folder.resolve()):
        message = (
            f"The Secret {secret!r} is not mounted: a local run needs the option --secrets DIR, with a file "
            f"DIR/{secret}/<header> for each header."
        )
        raise StageError.invalid(message, field)
    names = sorted(path.name for path in mounted.iterdir() if not path.name.startswith(".") and not path.is_dir())
    return {name: _header_value(mounted, secret, name, field) for name in names}


def _header_value(folder: Path, secret: str, name: str, field: str) -> str:
    shown, content = f"{name!r} in the Secret {secret!r}", b""
    for piece in _read_inside(folder, name, shown, field):
        content += piece
        if len(content) > MAX_HEADER:
            raise StageError.invalid(f"{shown} is longer than {MAX_HEADER:,} bytes, which no header is.", field)
    try:
        return content.decode().strip()
    except UnicodeDecodeError:
        message = f"The Secret {secret!r} has a value that is not UTF-8 text: it cannot be sent as a header."
        raise StageError.invalid(message, field) from None


def read_data(uri: str, field: str) -> Iterator[bytes]:
    """Decode ``data:[type][;base64],content`` (RFC 2397). The declared type is ignored: content decides.

    Raises:
        StageError: E_INPUT_VALIDATION for a URI that is too long or not correctly encoded.
    """
    if len(uri) > MAX_DATA_URI:
        raise StageError.invalid(
            f"A data: address may have at most {MAX_DATA_URI:,} characters; this one has {len(uri):,}.", field
        )
    head, comma, content = uri.partition(",")
    if not comma or not head.lower().startswith("data:"):
        raise StageError.invalid(
            "A data: address has the form data:[type][;base64],content; this one has no comma.", field
        )
    if not content.isascii() or any(character.isspace() for character in content) or BAD_ESCAPE.search(content):
        raise StageError.invalid("The data: address is not correctly encoded.", field)
    decoded = unquote_to_bytes(content)
    if head.lower().endswith(";base64"):
        try:
            decoded = base64.b64decode(decoded, validate=True)
        except binascii.Error:
            raise StageError.invalid(
                "The data: address is not correct base64 (A-Z, a-z, 0-9, +, / and = at the end).", field
            ) from None
    return iter([decoded])
