"""A request's body: fields and files, whether it came as a form or as JSON.

In a form, ``a[b][c]`` is a field in a field, ``a[0]`` an item of a list, and the items of ``a[]`` come one after the other; a field of
several fields can also be one JSON text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.bodies import DEEPEST, json_object, refuse_nul
from talkingvideo_gateway.http.limits import plain_body

MAX_FILES = 8
MAX_FIELDS = 500
MAX_TEXT_BYTES = 16 << 20
"""Of a field that is no file: it may be a data: URL."""
MAX_NAME = 256
MAX_ITEMS = 500
"""Of a list; the resource's longest one has as many."""

NAME = re.compile(r"([^\[\]\0]+)((?:\[[^\[\]\0]*\])*)")
KEY = re.compile(r"\[([^\[\]]*)\]")


@dataclass(frozen=True)
class Body:
    """What was sent.

    Attributes:
        fields: Fields by their names; texts where a form has them.
        files: Files by the names of their fields.
    """

    fields: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, UploadFile] = field(default_factory=dict)


async def read_body(request: Request) -> AsyncIterator[Body]:
    """The body of a request, whose files are closed when it has been answered.

    Raises:
        InvalidRequestError: It cannot be read.
        HTTPException: It is compressed, or neither a form nor JSON.
    """
    await plain_body(request)
    kind, _ = parse_options_header(request.headers.get("content-type", "application/json"))
    if kind == b"multipart/form-data":
        form = await _form(request)
        try:
            yield _of_form(form)
        finally:
            await form.close()
    elif kind == b"application/json":
        content = await request.body()
        fields = json_object(content) if content.strip() else {}
        refuse_nul(fields)
        yield Body(fields)
    else:
        message = "Send multipart/form-data or application/json."
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


BodyOf = Annotated[Body, Depends(read_body)]


class _StrictParser(MultiPartParser):
    """Refuses a form that ends before its last boundary, and texts that are not UTF-8."""

    ended = False

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            try:
                self._current_part.data.decode()
            except UnicodeDecodeError as error:
                raise MultiPartException(f"{self._current_part.field_name[:80]!r} is not UTF-8.") from error
        super().on_part_end()

    def on_end(self) -> None:
        self.ended = True


async def _form(request: Request) -> FormData:
    parser = _StrictParser(
        request.headers,
        request.stream(),
        max_files=MAX_FILES,
        max_fields=MAX_FIELDS,
        max_part_size=MAX_TEXT_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequestError(error.message) from error
    if not parser.ended:
        await form.close()
        raise InvalidRequestError("The form ends before its last boundary.")
    return form


def _of_form(form: FormData) -> Body:
    files: dict[str, UploadFile] = {}
    texts: list[tuple[str, str]] = []
    for name, value in form.multi_items():
        if isinstance(value, str):
            texts.append((name, value))
        elif name in files:
            raise InvalidRequestError("There are two files of this name.", field=name)
        else:
            files[name] = value
    fields = nested(texts)
    refuse_nul(fields)
    if twice := files.keys() & fields.keys():
        raise InvalidRequestError("It is there as a file and as a text.", field=min(twice))
    return Body(fields, files)


def nested(texts: list[tuple[str, str]]) -> dict[str, Any]:
    """Fields in fields from a form's names. Empty texts are left out, as fields of pages are that nobody has filled in.

    Raises:
        InvalidRequestError: A name has no such form, is there twice, or is a text and has fields.
    """
    root: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for name, text in texts:
        parts = _parts(name, seen[name])
        seen[name] += 1
        if seen[name] > 1 and "[]" not in name:
            raise InvalidRequestError("The field is there twice.", field=name[:80])
        if text == "":
            continue
        place = root
        for part in parts[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise InvalidRequestError("It is a text, and has fields.", field=name[:80])
        if parts[-1] in place:
            raise InvalidRequestError("The field is there twice.", field=name[:80])
        place[parts[-1]] = text
    return {name: _with_lists(value, name) for name, value in root.items()}


def _parts(name: str, before: int) -> list[str]:
    found = NAME.fullmatch(name) if len(name) <= MAX_NAME else None
    if found is None:
        raise InvalidRequestError("A field has a name like a, a[b] or a[0][b].", field=name[:80])
    keys = [f"{INDEX}{before}" if key == "" else _index(key) for key in KEY.findall(found[2])]
    if len(keys) > DEEPEST:
        raise InvalidRequestError(f"It is nested deeper than {DEEPEST} levels.", field=name[:80])
    return [found[1], *keys]


INDEX = "\0"
"""Begins the keys of a list's items, which no text of a request does."""


def _index(key: str) -> str:
    return f"{INDEX}{int(key)}" if key.isascii() and key.isdigit() and len(key) <= len(str(MAX_ITEMS)) else key


def _with_lists(value: Any, field: str) -> Any:
    if not isinstance(value, dict):
        return value
    items = [key for key in value if key.startswith(INDEX)]
    if not items:
        return {key: _with_lists(item, f"{field}.{key}") for key, item in value.items()}
    if {*value} != {f"{INDEX}{index}" for index in range(len(value))} or len(value) > MAX_ITEMS:
        raise InvalidRequestError("The items of a list are numbered from 0, without gaps.", field=field)
    return [_with_lists(value[f"{INDEX}{index}"], f"{field}[{index}]") for index in range(len(value))]
