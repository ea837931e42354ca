"""What engines read is opened as what prepare writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.engines.base import Portrait
from talkingvideo_worker.engines.pictures import load_mask, load_picture, portrait_frames

pytestmark = pytest.mark.media

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n/etc/passwd\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize("content", [PLAYLIST.encode(), b"ffconcat version 1.0\nfile secret.mp4\n", b"", b"RIFF"])
def test_a_video_that_is_no_mp4_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.mp4"
    path.write_bytes(content)
    with pytest.raises(StageError, match="is not the MP4 video") as refused:
        next(portrait_frames(Portrait(path, True, 64, 64), 0))
    assert refused.value.code is ErrorCode.WORKSPACE


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
