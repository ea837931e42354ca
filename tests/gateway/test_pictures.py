"""What the first bytes of an upload tell."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from talkingvideo_gateway.http.pictures import is_picture, picture_size


def written(form: str, **options: object) -> io.BytesIO:
    content = io.BytesIO()
    Image.new("RGB", (40, 30)).save(content, form, **options)
    return content


@pytest.mark.parametrize(
    ("form", "options"),
    [("PNG", {}), ("JPEG", {}), ("WEBP", {}), ("WEBP", {"lossless": True}), ("WEBP", {"exif": b"Exif\0\0"})],
)
def test_a_picture_s_size_is_in_its_header(form: str, options: dict[str, object]) -> None:
    assert picture_size(written(form, **options)) == (40, 30)


def test_a_large_colour_profile_does_not_hide_the_size() -> None:
    assert picture_size(written("JPEG", icc_profile=bytes(200_000))) == (40, 30)


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_no_pictures_here(form: str) -> None:
    assert not is_picture(written(form))
    assert picture_size(written(form)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff" + b"\xff\xe0\x00\x00" * 100_000,
        b"RIFF\x10\0\0\0WEBP",
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"<svg width='10' height='10'/>",
    ],
)
def test_what_tells_no_size_has_none(content: bytes) -> None:
    assert picture_size(io.BytesIO(content)) is None
