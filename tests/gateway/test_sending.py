"""Files in answers: whole, in part, and inside of JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from talkingvideo_gateway.http.sending import send_file, send_json_with_file
from talkingvideo_gateway.videos.backend import MediaFile

CONTENT = bytes(range(100))


def file_of(content: bytes, piece: int = 7) -> MediaFile:
    async def read(start: int, stop: int) -> AsyncIterator[bytes]:
        for begin in range(start, stop, piece):
            yield content[begin : min(begin + piece, stop)]

    return MediaFile(len(content), "tag", read)


def request(method: str = "GET", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": method, "headers": raw})


def body_of(response: Response) -> bytes:
    if not isinstance(response, StreamingResponse):
        return bytes(response.body)

    async def join() -> bytes:
        return b"".join([bytes(piece) async for piece in response.body_iterator])  # type: ignore[arg-type]

    return asyncio.run(join())


@pytest.mark.parametrize(
    ("header", "status", "expected"),
    [
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=90-", 206, CONTENT[90:]),
        ("bytes=90-1000", 206, CONTENT[90:]),
        ("bytes=-5", 206, CONTENT[-5:]),
        ("bytes=-1000", 206, CONTENT),
        ("bytes=100-", 416, b""),
        ("bytes=9-8", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=-", 200, CONTENT),
        ("bytes=0-1,3-4", 200, CONTENT),
        ("pages=0-1", 200, CONTENT),
        ("bytes=a-b", 200, CONTENT),
    ],
)
def test_ranges(header: str, status: int, expected: bytes) -> None:
    response = send_file(request(range=header), file_of(CONTENT), "video/mp4", "a.mp4")

    assert (response.status_code, body_of(response)) == (status, expected)


def test_a_range_of_another_version_is_the_whole_file() -> None:
    response = send_file(request(range="bytes=0-9", if_range='"other"'), file_of(CONTENT), "video/mp4", "a.mp4")

    assert (response.status_code, body_of(response)) == (200, CONTENT)


def test_what_the_client_has_is_not_sent_again() -> None:
    response = send_file(request(if_none_match='"tag"'), file_of(CONTENT), "video/mp4", "a.mp4")

    assert (response.status_code, body_of(response)) == (304, b"")


def test_head_has_the_length_and_no_body() -> None:
    response = send_file(request("HEAD"), file_of(CONTENT), "video/mp4", "a.mp4")

    assert (response.headers["content-length"], body_of(response)) == ("100", b"")


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize("length", [0, 1, 2, 3, 100])
def test_base64_in_json_does_not_depend_on_pieces(piece: int, length: int) -> None:
    response = send_json_with_file({"id": 'a"}'}, "video", file_of(CONTENT[:length], piece), "data:video/mp4;base64,")

    answer = json.loads(body_of(response))
    assert answer["id"] == 'a"}'
    assert base64.b64decode(answer["video"].removeprefix("data:video/mp4;base64,")) == CONTENT[:length]
