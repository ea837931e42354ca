"""What the first bytes of an upload tell: whether it is a picture, and how large a picture is."""

from __future__ import annotations

import io
from typing import BinaryIO

import imagesize

HEAD_BYTES = 1 << 20
"""How much of a picture is read for its size: EXIF data and colour profiles come before it."""


def is_picture(content: BinaryIO) -> bool:
    """Whether it is a picture of a format that a video can be made of: PNG, JPEG or WebP."""
    head = _head(content, 12)
    return head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (head[:4], head[8:]) == (b"RIFF", b"WEBP")


def picture_size(content: BinaryIO) -> tuple[int, int] | None:
    """Width and height of the upright picture in pixels, from its header alone; None where it tells none."""
    if not is_picture(content):
        return None
    width, height = imagesize.get(io.BytesIO(_head(content, HEAD_BYTES)))
    return (width, height) if width > 0 and height > 0 else None


def _head(content: BinaryIO, size: int) -> bytes:
    content.seek(0)
    return content.read(size)
