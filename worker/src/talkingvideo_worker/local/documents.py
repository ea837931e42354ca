"""A YAML file with TalkingVideos and the ConfigMaps that they name."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.names import API_VERSION, KIND
from talkingvideo_api.resource import TalkingVideo, parse


@dataclass(frozen=True)
class Documents:
    """What a file holds.

    Attributes:
        videos: In the file's order.
        configmaps: Content by name and key.
    """

    videos: tuple[TalkingVideo, ...]
    configmaps: dict[str, dict[str, bytes]]

    def write_configmaps(self, folder: Path) -> None:
        """Lay the ConfigMaps out as a pod would find them mounted."""
        for name, entries in self.configmaps.items():
            for key, content in entries.items():
                path = folder / name / key
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)


def read_documents(path: Path) -> Documents:
    """Read a file.

    Raises:
        StageError: E_INPUT_VALIDATION, saying what and where it is wrong.
    """
    try:
        loaded = [document for document in yaml.safe_load_all(path.read_text(encoding="utf-8")) if document is not None]
    except FileNotFoundError as error:
        raise StageError(ErrorCode.INPUT_VALIDATION, f"There is no file {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise StageError(ErrorCode.INPUT_VALIDATION, f"{path} cannot be read as text.") from error
    except yaml.YAMLError as error:
        raise StageError(ErrorCode.INPUT_VALIDATION, f"{path} is not YAML: {error}") from error
    videos, configmaps = [], {}
    for document in loaded:
        match document:
            case {"apiVersion": str(version), "kind": str(kind)} if (version, kind) == (API_VERSION, KIND):
                videos.append(parse(document))
            case {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": str(name)}}:
                configmaps[name] = _entries(document)
            case _:
                raise StageError(ErrorCode.INPUT_VALIDATION, f"{path}: {_describe(document)} is not known here.")
    if not videos:
        raise StageError(ErrorCode.INPUT_VALIDATION, f"{path} has no {KIND} of {API_VERSION}.")
    return Documents(tuple(videos), configmaps)


def _entries(document: dict[str, Any]) -> dict[str, bytes]:
    texts = {key: str(value).encode() for key, value in (document.get("data") or {}).items()}
    try:
        binaries = {key: base64.b64decode(value) for key, value in (document.get("binaryData") or {}).items()}
    except (binascii.Error, TypeError) as error:
        name = document["metadata"]["name"]
        raise StageError(ErrorCode.INPUT_VALIDATION, f"ConfigMap {name}: binaryData is not base64.") from error
    return texts | binaries


def _describe(document: object) -> str:
    if isinstance(document, dict):
        return f"a document of kind {document.get('kind')!r} and apiVersion {document.get('apiVersion')!r}"
    return f"a document that is a {type(document).__name__}"
