"""Files in bodies: multipart parts as they come, and base64 inside of JSON."""

from __future__ import annotations

import base64
import binascii
import io
import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile

from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.videos.request import InputKind, Upload

DEEPEST = 32
"""How deeply JSON may be nested: the resource's own documents need 8 levels."""


def part(file: UploadFile, kind: InputKind, field: str) -> Upload:
    """An upload from a multipart part; above 1 MB its content is in a temporary file."""
    return Upload(kind, file.file, field)


def base64_upload(text: str, kind: InputKind, field: str) -> Upload:
    """An upload from base64 in the standard alphabet, with or without a ``data:`` prefix.

    Raises:
        InvalidRequestError: It is not base64.
    """
    content = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return Upload(kind, io.BytesIO(base64.b64decode(content, validate=True)), field)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError("It is not base64.", field=field) from error


def json_object(content: bytes | str, field: str | None = None) -> dict[str, Any]:
    """A JSON object from a stranger: one that can be walked, stored and sent again.

    Args:
        content: Its text.
        field: The request's own name for it, for messages; the whole body where None.

    Raises:
        InvalidRequestError: It is no object, is nested too deeply, names a field twice, or has numbers or texts that JSON has no form
            for.
    """
    try:
        value = json.loads(content, object_pairs_hook=_without_duplicates, parse_constant=_refused_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidRequestError("It is not UTF-8.", field=field) from error
    except RecursionError as error:
        raise InvalidRequestError(f"It is nested deeper than {DEEPEST} levels.", field=field) from error
    except ValueError as error:
        raise InvalidRequestError(f"It is not JSON: {error}", field=field) from error
    if not isinstance(value, dict):
        raise InvalidRequestError("It must be a JSON object.", field=field)
    if _depth(value) > DEEPEST:
        raise InvalidRequestError(f"It is nested deeper than {DEEPEST} levels.", field=field)
    return value


def refuse_nul(value: Any, field: str = "") -> None:
    """Refuse texts with NUL, which neither programs' arguments nor files' names can have."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidRequestError("A text must not contain NUL.", field=field or None)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            refuse_nul(str(key), field)
            refuse_nul(item, f"{field}.{key}" if field else str(key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            refuse_nul(item, f"{field}[{index}]")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a field is there twice")
    return found


def _refused_constant(text: str) -> float:
    raise ValueError(f"{text} is no number")


def _depth(value: Any) -> int:
    """How deeply it is nested, found without recursion."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [
            item
            for each in level
            if isinstance(each, (dict, list))
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return depth
