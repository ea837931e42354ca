"""Files in bodies: multipart parts as they come, and base64 inside of JSON."""

from __future__ import annotations

import base64
import binascii
import io
from typing import Any

from starlette.datastructures import UploadFile

from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.videos.request import InputKind, Upload


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


def text_of(body: dict[str, Any], field: str) -> str | None:
    """A text of a JSON body; None where it is missing or empty.

    Raises:
        InvalidRequestError: It is something else.
    """
    value = body.get(field)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidRequestError("It must be a text.", field=field)
    return value
