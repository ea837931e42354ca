"""What engines read is opened as what prepare writes."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.worker.media.conftest import write_video

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.engines.pictures import load_mask, load_picture, portrait_frames

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


def test_a_png_is_read_in_rgb(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    Image.fromarray(np.full((2, 3, 3), (250, 20, 10), np.uint8)).save(path)
    assert load_picture(path)[0, 0].tolist() == [250, 20, 10]
    assert load_mask(path).all()
