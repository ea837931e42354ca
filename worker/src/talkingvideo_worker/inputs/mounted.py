"""Inputs from files: volumes of the pod, and the user's own disk."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote

from talkingvideo_worker.inputs.failures import gone, refused, transient

PIECE = 1 << 20


class NotARegularFileError(Exception):
    """A folder, a device, a pipe or a socket."""


def read_claim(uri: str, claims: Mapping[str, Path], field: str) -> Iterator[bytes]:
    """Stream ``pvc://claim/path``."""
    return _read_mounted(uri, claims, "PersistentVolumeClaim", field)


def read_configmap(uri: str, configmaps: Mapping[str, Path], field: str) -> Iterator[bytes]:
    """Stream ``configmap://name/key``."""
    return _read_mounted(uri, configmaps, "ConfigMap", field)


def read_local(uri: str, field: str) -> Iterator[bytes]:
    """Stream ``file:///path``, for a user who may read the file anyway."""
    host, _, path = uri.partition("://")[2].partition("/")
    if host not in {"", "localhost"}:
        raise refused(f"file://{host}/… names another machine; write file:/// and the whole path.", field)
    return _read_inside(Path("/"), unquote(path), f"/{unquote(path)}", field)


def _read_mounted(uri: str, mounts: Mapping[str, Path], what: str, field: str) -> Iterator[bytes]:
    name, _, path = uri.partition("://")[2].partition("/")
    root = mounts.get(name)
    if root is None:
        raise refused(f"The {what} {name!r} is not mounted; the profile has to allow it.", field)
    if not path:
        raise refused(f"The address names the {what} {name!r}, but no file in it.", field)
    return _read_inside(root, unquote(path), f"{path!r} in the {what} {name!r}", field)


def _read_inside(root: Path, path: str, shown: str, field: str) -> Iterator[bytes]:
    """Stream a regular file that lies below a folder, wherever its symbolic links lead.

    Links inside the folder are followed (every key of a mounted ConfigMap is one). The resolved path is then walked
    anew without following any, so that a link that somebody swaps in meanwhile leads nowhere.
    """
    if "\0" in path or ".." in path.split("/"):
        raise refused(f"{shown} is not a path that can be used: it may not contain '..'.", field)
    try:
        inside = _resolved_below(root.resolve(strict=True), path.lstrip("/"))
    except ValueError:
        raise refused(f"{shown} leads out of its volume through a symbolic link.", field) from None
    except (FileNotFoundError, NotADirectoryError):
        raise gone(f"{shown} does not exist.", field) from None
    except (OSError, RuntimeError):
        raise gone(f"{shown} cannot be read.", field) from None
    return _pieces(root.resolve(), inside, shown, field)


def _resolved_below(root: Path, path: str) -> Path:
    return (root / path).resolve(strict=True).relative_to(root)


def _pieces(root: Path, inside: Path, shown: str, field: str) -> Iterator[bytes]:
    try:
        with os.fdopen(_open_without_links(root, inside), "rb") as file:
            while piece := file.read(PIECE):
                yield piece
    except NotARegularFileError:
        raise refused(f"{shown} is not a file but a folder, a device or a pipe.", field) from None
    except PermissionError:
        raise gone(f"{shown} may not be read by this process.", field) from None
    except OSError:
        raise transient(f"{shown} could not be read to its end.", field) from None


def _open_without_links(root: Path, inside: Path) -> int:
    """Open a file step by step.

    It is looked at before it is opened, since opening a device may do something, and once more afterwards, since it may
    have been exchanged. ``O_NONBLOCK``: opening a pipe would wait for its other end.
    """
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in inside.parts[:-1]:
            below = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            os.close(folder)
            folder = below
        last = inside.parts[-1] if inside.parts else "."
        _require_regular(os.lstat(last, dir_fd=folder))
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        _require_regular(os.fstat(descriptor))
    except NotARegularFileError:
        os.close(descriptor)
        raise
    return descriptor


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotARegularFileError
