"""Reads the fields of a request by name, and notes what is changed or ignored on the way."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import JsonValue, TypeAdapter, ValidationError

from talkingvideo_api.texts import truncate
from talkingvideo_gateway.errors import InvalidRequestError, NotFoundError
from talkingvideo_gateway.http.bodies import base64_upload
from talkingvideo_gateway.http.pictures import is_picture
from talkingvideo_gateway.http.volumes import Volumes
from talkingvideo_gateway.videos.object import MAX_WARNINGS
from talkingvideo_gateway.videos.request import InputKind, Upload, upload_uri

T = TypeVar("T")
N = TypeVar("N", int, float)

INTEGER = TypeAdapter(int)
NUMBER = TypeAdapter(float)
FLAG = TypeAdapter(bool)
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
VIDEO_FILE = re.compile(r"\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ts|flv|ogv)$", re.IGNORECASE)
MAX_WARNING = 320
MAX_NAME = 40
"""How much of an unknown field's name is repeated."""


@dataclass
class Notes:
    """What is gathered while the fields of one video are read.

    Attributes:
        volumes: Shared volumes that paths may name files of.
        uploads: Files that came inside of the fields, by the fields' paths.
        files: URIs of files on shared volumes, likewise.
        warnings: What was changed or ignored, as sentences.
        options: What the answer depends on.
    """

    volumes: Volumes
    uploads: dict[str, Upload] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    options: dict[str, JsonValue] = field(default_factory=dict)

    def bounded_warnings(self) -> tuple[str, ...]:
        """The warnings, as many and as long as are kept."""
        return tuple(truncate(warning, MAX_WARNING) for warning in dict.fromkeys(self.warnings))[:MAX_WARNINGS]


class Fields:
    """The fields of one JSON object. Null and the empty text count as missing; numbers may be written as texts.

    Args:
        values: The object.
        path: Where it is in the request, for messages.
        notes: Where everything is noted.
    """

    def __init__(self, values: Mapping[str, Any], path: str, notes: Notes) -> None:
        self.notes = notes
        self._values = values
        self._path = path
        self._known: set[str] = set()

    def has(self, *names: str) -> bool:
        """Whether any of the fields has a value."""
        return any(self._take(name) is not None for name in names)

    def text(self, name: str, longest: int | None = None) -> str | None:
        """A text.

        Raises:
            InvalidRequestError: It is something else, or too long.
        """
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise self.wrong(name, "It must be a text.")
        if longest is not None and len(value) > longest:
            raise self.wrong(name, f"It has {len(value):,} characters; at most {longest:,} are allowed.")
        return value

    def integer(self, name: str, least: int, most: int) -> int | None:
        """A whole number between bounds.

        Raises:
            InvalidRequestError: It is something else.
        """
        return self._bounded(name, INTEGER, f"It must be a whole number from {least:,} to {most:,}.", least, most)

    def number(self, name: str, least: float, most: float) -> float | None:
        """A number between bounds.

        Raises:
            InvalidRequestError: It is something else.
        """
        return self._bounded(name, NUMBER, f"It must be a number from {least:,g} to {most:,g}.", least, most)

    def flag(self, name: str) -> bool | None:
        """True or false.

        Raises:
            InvalidRequestError: It is neither.
        """
        return self._parsed(name, FLAG, "It must be true or false.")

    def word(self, name: str, meanings: Mapping[str, T]) -> T | None:
        """The meaning of a word.

        Raises:
            InvalidRequestError: It has none.
        """
        value = self.text(name)
        if value is None:
            return None
        if value not in meanings:
            raise self.wrong(name, f"It must be one of {', '.join(meanings)}.")
        return meanings[value]

    def section(self, name: str) -> Fields | None:
        """The fields of an object in a field.

        Raises:
            InvalidRequestError: It is no object.
        """
        value = self._take(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.wrong(name, "It must be an object.")
        return Fields(value, f"{self._path}.{name}", self.notes)

    def items(self, name: str) -> list[Any] | None:
        """A list.

        Raises:
            InvalidRequestError: It is something else.
        """
        value = self._take(name)
        if value is not None and not isinstance(value, list):
            raise self.wrong(name, "It must be a list.")
        return value

    def media(self, name: str, kind: InputKind) -> str | None:
        """The URI of a file that is given as an address, base64, a ``data:`` URI or a path on a shared volume.

        Raises:
            InvalidRequestError: It is none of these.
        """
        value = self.text(name)
        if value is None:
            return None
        where = self.where(name)
        if SCHEME.match(value) and not value.startswith("data:"):
            return value
        # Base64 may begin with a slash, and never has a dot.
        if "." in value[:4_096] and not value.startswith("data:"):
            self.notes.files[where] = self._on_volume(name, value)
        else:
            self.notes.uploads[where] = base64_upload("".join(value.split()), kind, where)
        return upload_uri(where)

    def picture_or_video(self, name: str) -> tuple[str, str] | None:
        """Whether a file is an ``image`` or a ``video``, and its URI: by its content, else by the name's ending."""
        uri = self.media(name, InputKind.PICTURE)
        if uri is None:
            return None
        if (upload := self.upload(name)) is not None:
            return ("image" if is_picture(upload.content) else "video"), uri
        address = self.notes.files.get(self.where(name), uri)
        return ("video" if VIDEO_FILE.search(re.split(r"[?#]", address)[0]) else "image"), uri

    def upload(self, name: str) -> Upload | None:
        """The file that came inside of a field."""
        return self.notes.uploads.get(self.where(name))

    def ignore(self, name: str, reason: str) -> None:
        """Note that a field is ignored, if it has a value."""
        if self.has(name):
            self.say(name, f"is ignored: {reason}")

    def say(self, name: str, sentence: str) -> None:
        """Note what was done with a field: its name, and the sentence's rest."""
        self.notes.warnings.append(f"{self.where(name)} {sentence}")

    def finish(self) -> None:
        """Note the fields that nobody has read."""
        if unknown := unknown_fields(name for name in self._values if name not in self._known):
            self.notes.warnings.append(f"{self._path}: not known here, and ignored: {unknown}.")

    def wrong(self, name: str, message: str) -> InvalidRequestError:
        """The error that a field is wrong."""
        return InvalidRequestError(message, field=self.where(name))

    def where(self, name: str) -> str:
        """The path of a field in the request."""
        return f"{self._path}.{name}"

    def _on_volume(self, name: str, path: str) -> str:
        try:
            return self.notes.volumes.uri(path, self.where(name))
        except NotFoundError as error:
            message = f"There is no such file here: {error.message}. Send an address or base64."
            raise self.wrong(name, message) from error

    def _take(self, name: str) -> Any:
        self._known.add(name)
        value = self._values.get(name)
        return None if value == "" else value

    def _parsed(self, name: str, adapter: TypeAdapter[T], message: str) -> T | None:
        value = self._take(name)
        try:
            return None if value is None else adapter.validate_python(value)
        except ValidationError as error:
            raise self.wrong(name, message) from error

    def _bounded(self, name: str, adapter: TypeAdapter[N], message: str, least: float, most: float) -> N | None:
        value = self._parsed(name, adapter, message)
        if value is not None and not least <= value <= most:
            raise self.wrong(name, message)
        return value


def unknown_fields(names: Iterable[str]) -> str:
    """Names of fields as a warning lists them."""
    return ", ".join(sorted(name[:MAX_NAME] for name in names))
