"""Paths of older services' shared volumes, as the configuration maps them to URIs.

Nothing else makes a path of a request into a file: what no prefix of the configuration covers does not exist.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from urllib.request import url2pathname

from talkingvideo_gateway.errors import InvalidRequestError, NotFoundError


class Volumes:
    """Folders that requests may name files in.

    Args:
        prefixes: Folder as clients name it, and the URI that it stands for.
    """

    def __init__(self, prefixes: Mapping[str, str]) -> None:
        self._prefixes = {prefix.rstrip("/"): uri.rstrip("/") for prefix, uri in prefixes.items()}

    def uri(self, path: str, field: str) -> str:
        """The URI of a file.

        Args:
            path: As the request names it.
            field: The request's field, for messages.

        Raises:
            InvalidRequestError: It is no absolute path, or has ``..`` in it.
            NotFoundError: No folder of the configuration has it, or a folder of this machine lacks it.
        """
        if not path.startswith("/") or ".." in path.split("/") or "\0" in path:
            raise InvalidRequestError("It must be an absolute path without '..'.", field=field)
        path = posixpath.normpath(path)
        for prefix, uri in sorted(self._prefixes.items(), key=lambda entry: -len(entry[0])):
            if path.startswith(f"{prefix}/"):
                found = f"{uri}/{quote(path.removeprefix(f'{prefix}/'))}"
                _require(found, uri, path)
                return found
        folders = ", ".join(self._prefixes) or "no folder is configured"
        raise NotFoundError(f"{path} (files can be named in: {folders})")

    def path(self, uri: str) -> str | None:
        """The path at which whoever has the volumes finds a file; None where it is in no configured folder."""
        for prefix, folder in self._prefixes.items():
            if uri.startswith(f"{folder}/"):
                return f"{prefix}{unquote(uri.removeprefix(folder))}"
        return None

    def folder(self, prefix: str) -> str | None:
        """The URI that a folder stands for; None where it is not configured."""
        return self._prefixes.get(prefix)


def _require(uri: str, folder: str, path: str) -> None:
    """A file of this machine must be there, in the folder itself: links may lead anywhere. Others are checked when they are read."""
    if urlsplit(uri).scheme == "file":
        file, root = (Path(url2pathname(urlsplit(each).path)).resolve() for each in (uri, folder))
        if not file.is_relative_to(root) or not file.exists():
            raise NotFoundError(path)
        if not file.is_file():
            raise InvalidRequestError(f"{path} is not a file.")
