"""What engines read is opened as what prepare writes."""

from __future__ import annotations

import struct
import zlib
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from tests.worker.media.conftest import write_video

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.engines.pictures import PNG_SIGNATURE, load_mask, load_picture, portrait_frames

pytestmark = pytest.mark.media

SILENCE = np.zeros((1, 4_800), np.float32)

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("content", [PLAYLIST.encode(), b"ffconcat version 1.0\nfile secret.mp4\n", b"", b"RIFF"])
def test_a_video_that_is_no_mp4_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.mp4"
    path.write_bytes(content)
    with pytest.raises(StageError, match="is not the MP4 video") as refused:
        next(portrait_frames(Portrait(path, True, 64, 64), 0))
    assert refused.value.code is ErrorCode.WORKSPACE


@pytest.mark.parametrize(("codec", "sound"), [("mpeg4", None), ("mpeg2video", None), ("libx264", SILENCE)])
def test_a_video_of_another_codec_or_with_more_streams_is_refused(tmp_path: Path, codec: str, sound: Any) -> None:
    pictures, times = [np.zeros((64, 64, 3), np.uint8)] * 3, [Fraction(number, 25) for number in range(3)]
    options = {} if codec == "libx264" else {"strict": "-1"}
    path = tmp_path / "picture.mp4"
    write_video(path, pictures, times, "mp4", codec, sound=sound, options=options, base=Fraction(1, 25))
    with pytest.raises(StageError, match="is not the MP4 video"):
        next(portrait_frames(Portrait(path, True, 64, 64), 0))


def test_a_picture_of_another_format_is_refused_under_the_name_of_a_png(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path, format="JPEG")
    for load in (load_picture, load_mask):
        with pytest.raises(StageError, match="is not the PNG picture"):
            load(path)


@pytest.mark.parametrize("size", [(30_000, 30_000), (16_777_217, 1), (1, 2**31 - 1)])
def test_a_picture_that_claims_gigabytes_is_refused_before_it_is_decoded(tmp_path: Path, size: tuple[int, int]) -> None:
    """Of one bit per pixel and all black: 110 kB for 2.7 GB, and a GPU waits for each attempt."""
    path = tmp_path / "picture.png"
    path.write_bytes(black_png(*size))
    for load in (load_picture, load_mask):
        with pytest.raises(StageError, match="is not the PNG picture"):
            load(path)


def test_a_video_of_enormous_frames_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "picture.mp4"
    write_video(path, [np.zeros((4_098, 4_098, 3), np.uint8)], [Fraction(0)])
    with pytest.raises(StageError, match="is not the MP4 video"):
        next(portrait_frames(Portrait(path, True, 64, 64), 0))


def test_a_video_whose_frames_are_larger_than_it_says_is_refused(tmp_path: Path) -> None:
    path, large = tmp_path / "picture.mp4", tmp_path / "large.mp4"
    write_video(large, [np.zeros((4_098, 4_098, 3), np.uint8)], [Fraction(0)])
    content = large.read_bytes()
    claimed, real = struct.pack(">HH", 64, 64), struct.pack(">HH", 4_098, 4_098)
    assert content.count(real) == 1  # of the sample entry; the stream's own size is in its parameter sets
    path.write_bytes(content.replace(real, claimed))
    with pytest.raises((StageError, av.FFmpegError)):
        next(portrait_frames(Portrait(path, True, 64, 64), 0))


def black_png(width: int, height: int) -> bytes:
    compress = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    rows = b"".join(compress.compress(row) for _ in range(min(height, 100_000))) + compress.flush()
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", head), (b"IDAT", rows), (b"IEND", b""))
    )


def test_a_png_is_read_in_rgb(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((2, 3, 3), (250, 20, 10), np.uint8)).save(path)
    assert load_picture(path)[0, 0].tolist() == [250, 20, 10]
    assert load_mask(path).all()
