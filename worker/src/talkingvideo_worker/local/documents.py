"""A YAML file with TalkingVideos and the ConfigMaps that they name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from talkingvideo_api.errors import StageError
from talkingvideo_api.names import API_VERSION, KIND
from talkingvideo_api.resource import DNS_SUBDOMAIN, TalkingVideo, parse
from talkingvideo_api.uris import scheme_of

CONFIG_MAP_KEY = r"[-._a-zA-Z0-9]{1,253}"
"""As Kubernetes has it, with the exceptions ``.``, ``..`` and what begins with ``..``."""


@dataclass(frozen=True)
class Documents:
    """What a file holds.

    Attributes:
        videos: In the file's order.
        configmaps: Content by name and key; both are plain names of files.
    """

    videos: tuple[TalkingVideo, ...]
    configmaps: dict[str, dict[str, bytes]]

    def write_configmaps(self, folder: Path) -> None:
        """Lay the ConfigMaps out as a pod would find them mounted."""
        for name, entries in self.configmaps.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for key, content in entries.items():
                (folder / name / key).write_bytes(content)


def read_documents(path: Path) -> Documents:
    """Read a file.

    ``file:portrait.jpg`` is the file of that name in the YAML's own folder.

    Raises:
        StageError: E_INPUT_VALIDATION, saying what and where it is wrong.
    """
    videos: dict[str, TalkingVideo] = {}
    configmaps: dict[str, dict[str, bytes]] = {}
    for number, document in enumerate(_loaded(path), start=1):
        where = f"{path}, document {number}"
        match document:
            case {"apiVersion": str(version), "kind": str(kind)} if (version, kind) == (API_VERSION, KIND):
                video = _video(document, path, where)
                _refuse_double(video.metadata.name, videos, where, "results are called after their objects")
                videos[video.metadata.name] = video
            case {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": str(name)}}:
                _refuse_double(name, configmaps, where, "nobody could tell which one is meant")
                configmaps[name] = _entries(document, name, where)
            case _:
                raise StageError.invalid(f"{where}: {_describe(document)} is not known here.")
    if not videos:
        raise StageError.invalid(f"{path} has no {KIND} of {API_VERSION}.")
    return Documents(tuple(videos.values()), configmaps)


def _loaded(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return [document for document in yaml.safe_load_all(text) if document is not None]
    except FileNotFoundError as error:
        raise StageError.invalid(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise StageError.invalid(f"{path} is a folder; name the YAML file in it.") from error
    except OSError as error:
        raise StageError.invalid(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise StageError.invalid(f"{path} is not text in UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StageError.invalid(f"{path}{place} is not YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StageError.invalid(f"{path} is not YAML.") from error


def _video(document: dict[str, Any], path: Path, where: str) -> TalkingVideo:
    try:
        return parse(_with_whole_uris(document, path.parent.resolve()))
    except StageError as error:
        raise StageError(error.code, f"{error.message} ({where})", field=error.field) from error


def _with_whole_uris(value: Any, folder: Path) -> Any:
    """A document in which every ``uri`` that names a file by its relative path names it by its whole one."""
    if isinstance(value, list):
        return [_with_whole_uris(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _whole_uri(item, folder) if key == "uri" and isinstance(item, str) else _with_whole_uris(item, folder)
        for key, item in value.items()
    }


def _whole_uri(uri: str, folder: Path) -> str:
    """``file:portrait.jpg`` and ``file:/tmp/portrait.jpg`` (RFC 8089, appendix B) with their whole path."""
    path = uri.partition(":")[2]
    if scheme_of(uri) != "file" or not path or path.startswith("//"):
        return uri
    return (folder / unquote(path)).resolve().as_uri()


def _entries(document: dict[str, Any], name: str, where: str) -> dict[str, bytes]:
    if not re.fullmatch(DNS_SUBDOMAIN, name) or len(name) > 253:
        raise StageError.invalid(f"{where}: a ConfigMap cannot be called {name!r}: a-z, 0-9, '-' and '.' are allowed.")
    entries = {key: text.encode() for key, text in _texts(document, "data", where)}
    for key, text in _texts(document, "binaryData", where):
        try:
            entries[key] = base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise StageError.invalid(f"{where}: binaryData of {key!r} is not base64.") from error
    return entries


def _texts(document: dict[str, Any], field: str, where: str) -> Iterator[tuple[str, str]]:
    """A ConfigMap's keys and texts: the keys become names of files, and may lead nowhere else."""
    given = document.get(field) or {}
    if not isinstance(given, dict):
        raise StageError.invalid(f"{where}: {field} is not a mapping of keys to texts.")
    for key, text in given.items():
        if not isinstance(key, str) or not re.fullmatch(CONFIG_MAP_KEY, key) or key == "." or key.startswith(".."):
            raise StageError.invalid(
                f"{where}: {key!r} cannot be a key: letters, digits, '-', '_' and '.' are allowed."
            )
        if not isinstance(text, str):
            raise StageError.invalid(f"{where}: {field} of {key!r} is not a text; put it in quotes.")
        yield key, text


def _refuse_double(name: str, known: dict[str, Any], where: str, because: str) -> None:
    if name in known:
        raise StageError.invalid(f"{where}: there is another {name!r} in this file, and {because}.")


def _describe(document: object) -> str:
    if isinstance(document, dict):
        return f"a document of kind {document.get('kind')!r} and apiVersion {document.get('apiVersion')!r}"
    return f"a document that is a {type(document).__name__}"
