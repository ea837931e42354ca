"""Sends a file in pieces, or the range of it that was asked for (RFC 9110, section 14)."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Mapping
from email.utils import quote
from http import HTTPStatus
from urllib.parse import quote as percent_encoded

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from talkingvideo_gateway.videos.backend import MediaFile

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
"""A single range. A header of any other form is ignored, as RFC 9110 has it."""

NOT_PLAIN = re.compile(r"[^\x20-\x7e]")


def send_file(request: Request, file: MediaFile, media_type: str, file_name: str, *, inline: bool = True) -> Response:
    """The response with a file.

    Args:
        request: Its headers may ask for a range.
        file: The file.
        media_type: Its media type.
        file_name: Under which browsers save it.
        inline: Whether browsers show it rather than save it.
    """
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"{'inline' if inline else 'attachment'}; {_file_name(file_name)}",
        "ETag": f'"{file.etag}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    start, stop, status = 0, file.bytes, HTTPStatus.OK
    found = RANGE.fullmatch(request.headers.get("range", "").strip())
    if found and any(found.groups()) and request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        start, stop = _range(found, file.bytes)
        if start >= stop:
            headers["Content-Range"] = f"bytes */{file.bytes}"
            return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
        status = HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.bytes}"
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(file.read(start, stop), status_code=status, headers=headers, media_type=media_type)


def send_json_with_file(answer: Mapping[str, object], field: str, file: MediaFile, prefix: str = "") -> Response:
    """A JSON object with one more field: a file in base64, which is never in memory as a whole.

    Args:
        answer: The other fields.
        field: Name of the file's field.
        file: The file.
        prefix: What the field begins with, such as ``data:video/mp4;base64,``.
    """
    mark = file_mark()
    return send_json_with_files({**answer, field: f"{prefix}{mark}"}, {mark: file})


def send_json_with_files(answer: Mapping[str, object], files: Mapping[str, MediaFile]) -> Response:
    """A JSON object in which marks stand for files: their base64 is sent instead, and is never in memory as a whole.

    Args:
        answer: The object; each mark is in it once.
        files: The files by their marks.
    """
    if not files:
        return JSONResponse(answer)
    return StreamingResponse(_json_with_files(json.dumps(answer), files), media_type="application/json")


def file_mark() -> str:
    """A text that stands for a file, and is no part of any other."""
    return secrets.token_hex(16)


async def _json_with_files(text: str, files: Mapping[str, MediaFile]) -> AsyncIterator[bytes]:
    for part in re.split(f"({'|'.join(files)})", text):
        if part in files:
            async for piece in _base64(files[part]):
                yield piece
        else:
            yield part.encode()


async def _base64(file: MediaFile) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in file.read(0, file.bytes):
        content = rest + piece
        whole = len(content) - len(content) % 3
        yield base64.b64encode(content[:whole])
        rest = content[whole:]
    yield base64.b64encode(rest)


def _file_name(name: str) -> str:
    """The parameters for a name, in which a header that has only ASCII names any file (RFC 6266, appendix D)."""
    plain = NOT_PLAIN.sub("_", name)
    return f'filename="{quote(plain)}"' + (
        "" if plain == name else f"; filename*=UTF-8''{percent_encoded(name, safe='')}"
    )


def _range(header: re.Match[str], size: int) -> tuple[int, int]:
    """Start and stop of a single range; no byte where it cannot be satisfied."""
    first, last = header.groups()
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1 if last else size, size)
