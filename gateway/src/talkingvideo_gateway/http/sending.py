"""Sends a file in pieces, or the range of it that was asked for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from email.utils import quote
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from talkingvideo_gateway.videos.backend import MediaFile

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def send_file(request: Request, file: MediaFile, media_type: str, file_name: str, *, inline: bool = True) -> Response:
    """The response with a file.

    Args:
        request: Its headers may ask for a range.
        file: The file.
        media_type: Its media type.
        file_name: Under which browsers save it.
        inline: Whether browsers show it rather than save it.
    """
    disposition = f'{"inline" if inline else "attachment"}; filename="{quote(file_name)}"'
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": disposition,
        "ETag": f'"{file.etag}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    wanted = request.headers.get("range")
    if wanted is None or request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        start, stop, status = 0, file.bytes, HTTPStatus.OK
    else:
        found = _range(wanted, file.bytes)
        if found is None:
            headers["Content-Range"] = f"bytes */{file.bytes}"
            return Response(status_code=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
        (start, stop), status = found, HTTPStatus.PARTIAL_CONTENT
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.bytes}"
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type)
    return StreamingResponse(file.read(start, stop), status_code=status, headers=headers, media_type=media_type)


def _range(header: str, size: int) -> tuple[int, int] | None:
    """Start and stop of the first range; the whole file where the header is no single range of bytes."""
    found = RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return 0, size
    first, last = found[1], found[2]
    if not first:
        length = min(int(last), size)
        return (size - length, size) if length else None
    start, stop = int(first), min(int(last) + 1 if last else size, size)
    return (start, stop) if start < stop else None
