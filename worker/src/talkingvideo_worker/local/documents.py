"""Reads a YAML file with TalkingVideos and the ConfigMaps that they refer to."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import yaml

from talkingvideo_api.errors import StageError
from talkingvideo_api.names import API_VERSION, KIND, is_object_name
from talkingvideo_api.problems import InvalidDocumentError
from talkingvideo_api.resource import TalkingVideo, parse
from talkingvideo_api.uris import scheme_of

MAX_VALUES = 100_000
"""Values of one document: an object may have some thousands."""

CONFIG_MAP_KEY = r"[-._a-zA-Z0-9]{1,253}"
"""Keys that Kubernetes allows, except that it refuses ``.``, ``..`` and keys that begin with ``..``."""


@dataclass(frozen=True)
class Documents:
    """Contents of a file.

    Attributes:
        videos: The TalkingVideos in the order of the file.
        configmaps: Contents of the ConfigMaps by name and key, both of which are safe file names.
    """

    videos: tuple[TalkingVideo, ...]
    configmaps: dict[str, dict[str, bytes]]

    def write_configmaps(self, folder: Path) -> None:
        """Write the ConfigMaps as the kubelet mounts them into a pod."""
        for name, entries in self.configmaps.items():
            (folder / name).mkdir(parents=True, exist_ok=True)
            for key, content in entries.items():
                (folder / name / key).write_bytes(content)


def read_documents(path: Path) -> Documents:
    """Read a file.

    Relative file URIs such as ``file:portrait.jpg`` refer to the folder of the YAML file.

    Raises:
        StageError: E_INPUT_VALIDATION with the document and what is wrong with it.
    """
    videos: dict[str, TalkingVideo] = {}
    configmaps: dict[str, dict[str, bytes]] = {}
    for number, document in enumerate(_load(path), start=1):
        where = f"{path}, document {number}"
        match document:
            case {"apiVersion": str(version), "kind": str(kind)} if (version, kind) == (API_VERSION, KIND):
                video = _video(document, path, where)
                _refuse_duplicate(video.metadata.name, videos, where, "results are named after their objects")
                videos[video.metadata.name] = video
            case {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": str(name)}}:
                _refuse_duplicate(name, configmaps, where, "URIs refer to ConfigMaps by name")
                configmaps[name] = _entries(document, name, where)
            case _:
                raise StageError.invalid(f"{where}: {_describe(document)} is not supported.")
    if not videos:
        raise StageError.invalid(f"{path} has no {KIND} of {API_VERSION}.")
    return Documents(tuple(videos.values()), configmaps)


def _load(path: Path) -> list[Any]:
    try:
        text = path.read_text(encoding="utf-8")
        return [document for document in _documents(text, path) if document is not None]
    except FileNotFoundError as error:
        raise StageError.invalid(f"File {path} does not exist.") from error
    except IsADirectoryError as error:
        raise StageError.invalid(f"{path} is a folder; give the YAML file in it.") from error
    except OSError as error:
        raise StageError.invalid(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise StageError.invalid(f"{path} is not UTF-8 text.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        position = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise StageError.invalid(f"{path}{position} is not YAML: {error.problem or error.context}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise StageError.invalid(f"{path} is not YAML.") from error


def _documents(text: str, path: Path) -> Iterator[Any]:
    """The documents of a YAML text whose aliases do not multiply it: a few lines may stand for billions of values."""
    loader = yaml.SafeLoader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None and _unfolded(node, {}) > MAX_VALUES:
                raise StageError.invalid(f"{path} has more than {MAX_VALUES:,} values: its aliases multiply them.")
            yield loader.construct_document(node)
    finally:
        loader.dispose()


def _unfolded(node: yaml.Node, known: dict[int, float]) -> float:
    """Values that a node stands for when every alias is a copy; infinite for one that contains itself."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = math.inf
    match node:
        case yaml.SequenceNode():
            parts = node.value
        case yaml.MappingNode():
            parts = [part for pair in node.value for part in pair]
        case _:
            parts = []
    known[id(node)] = 1 + sum(_unfolded(part, known) for part in parts)
    return known[id(node)]


def _video(document: dict[str, Any], path: Path, where: str) -> TalkingVideo:
    try:
        return parse(_with_absolute_uris(document, path.parent.resolve()))
    except InvalidDocumentError as error:
        raise InvalidDocumentError(error.problems, where) from error


def _with_absolute_uris(value: Any, folder: Path) -> Any:
    """Make the path of every file URI under a key ``uri`` absolute."""
    if isinstance(value, list):
        return [_with_absolute_uris(item, folder) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: _absolute_uri(item, folder)
        if key == "uri" and isinstance(item, str)
        else _with_absolute_uris(item, folder)
        for key, item in value.items()
    }


def _absolute_uri(uri: str, folder: Path) -> str:
    """Make ``file:portrait.jpg`` and ``file:/tmp/portrait.jpg`` (RFC 8089, appendix B) URIs with an absolute path."""
    path = uri.partition(":")[2]
    if scheme_of(uri) != "file" or not path or path.startswith("//"):
        return uri
    return (folder / unquote(path)).resolve().as_uri()


def _entries(document: dict[str, Any], name: str, where: str) -> dict[str, bytes]:
    if not is_object_name(name):
        raise StageError.invalid(
            f"{where}: {name!r} is not a valid name of a ConfigMap: a-z, 0-9, '-' and '.' are allowed."
        )
    entries = {key: value.encode() for key, value in _strings(document, "data", where)}
    for key, value in _strings(document, "binaryData", where):
        try:
            entries[key] = base64.b64decode("".join(value.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise StageError.invalid(f"{where}: binaryData of {key!r} is not base64.") from error
    return entries


def _strings(document: dict[str, Any], field: str, where: str) -> Iterator[tuple[str, str]]:
    """Keys and values of a ConfigMap. The keys become file names, which must not leave their folder."""
    values = document.get(field) or {}
    if not isinstance(values, dict):
        raise StageError.invalid(f"{where}: {field} is not a mapping of keys to strings.")
    for key, value in values.items():
        if not isinstance(key, str) or not re.fullmatch(CONFIG_MAP_KEY, key) or key == "." or key.startswith(".."):
            raise StageError.invalid(
                f"{where}: {key!r} is not a valid key: letters, digits, '-', '_' and '.' are allowed."
            )
        if not isinstance(value, str):
            raise StageError.invalid(f"{where}: {field} of {key!r} is not a string; put it in quotes.")
        yield key, value


def _refuse_duplicate(name: str, known: dict[str, Any], where: str, reason: str) -> None:
    if name in known:
        raise StageError.invalid(f"{where}: the name {name!r} is used twice in this file, but {reason}.")


def _describe(document: object) -> str:
    if isinstance(document, dict):
        return f"a document of kind {document.get('kind')!r} and apiVersion {document.get('apiVersion')!r}"
    return f"a document that is a {type(document).__name__}"
