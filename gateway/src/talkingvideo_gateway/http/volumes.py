"""Paths on the older services' shared volumes, and the URIs that an administrator lets them stand for."""

from __future__ import annotations

from collections.abc import Mapping


def uri_of_path(paths: Mapping[str, str], path: str) -> str | None:
    """The URI of a path; None where no configured folder contains it.

    Args:
        paths: Folders and their URIs.
        path: An absolute path.
    """
    if ".." in path.split("/"):
        return None
    above = (folder for folder in paths if path.startswith(f"{folder.rstrip('/')}/"))
    folder = max(above, key=len, default=None)
    return None if folder is None else f"{paths[folder].rstrip('/')}/{path[len(folder) :].strip('/')}"


def path_of_uri(paths: Mapping[str, str], uri: str) -> str | None:
    """The path at which whoever has the volume finds a file; None where it is in no configured folder."""
    for folder, base in paths.items():
        if uri.startswith(f"{base.rstrip('/')}/"):
            return f"{folder.rstrip('/')}/{uri[len(base.rstrip('/')) :].strip('/')}"
    return None
