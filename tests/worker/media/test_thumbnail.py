from pathlib import Path
from typing import cast

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.media.encoder import SegmentEncoder
from talkingvideo_worker.media.finished_video import write_thumbnail
from talkingvideo_worker.media.join import join_segments

pytestmark = pytest.mark.media

WIDTH, HEIGHT = 320, 180


def lined(brightness: int) -> NDArray[np.uint8]:
    """A picture with a lattice, told by its brightness."""
    picture = np.full((HEIGHT, WIDTH, 3), brightness, np.uint8)
    picture[::8], picture[:, ::8] = 255, 255
    return picture


def video(folder: Path, pictures: list[NDArray[np.uint8]]) -> Path:
    with SegmentEncoder(folder / "s.mp4", WIDTH, HEIGHT) as encoder:
        for picture in pictures:
            encoder.write(picture)
    join_segments([folder / "s.mp4"], None, folder / "v.mp4", {})
    return folder / "v.mp4"


def still(folder: Path, pictures: list[NDArray[np.uint8]], width: int = 480) -> NDArray[np.uint8]:
    write_thumbnail(video(folder, pictures), folder / "t.jpg", width)
    picture = cv2.imread(str(folder / "t.jpg"))
    assert picture is not None
    return cast(NDArray[np.uint8], picture)


def test_the_frame_after_one_second_is_shown(tmp_path: Path) -> None:
    picture = still(tmp_path, [lined(40)] * 25 + [lined(120)] + [lined(200)] * 60)
    assert np.median(picture) == pytest.approx(120, abs=6)


def test_a_short_video_is_shown_half_way(tmp_path: Path) -> None:
    picture = still(tmp_path, [lined(40)] * 5 + [lined(120)] + [lined(200)] * 4)
    assert np.median(picture) == pytest.approx(120, abs=6)


def test_a_black_start_is_skipped(tmp_path: Path) -> None:
    assert np.median(still(tmp_path, [lined(0) * 0] * 60 + [lined(120)] * 60)) == pytest.approx(120, abs=6)


def test_a_black_video_still_has_a_thumbnail(tmp_path: Path) -> None:
    assert still(tmp_path, [lined(0) * 0]).shape == (HEIGHT, WIDTH, 3)


def test_a_thumbnail_keeps_the_aspect_ratio_and_is_never_enlarged(tmp_path: Path) -> None:
    assert still(tmp_path, [lined(120)] * 3, width=160).shape == (90, 160, 3)
    assert still(tmp_path, [lined(120)] * 3, width=480).shape == (HEIGHT, WIDTH, 3)


def test_colours_keep_their_places(tmp_path: Path) -> None:
    red = lined(0)
    red[60:120, 100:220] = (220, 30, 30)
    blue, green, shown_red = still(tmp_path, [red] * 3)[90, 160].astype(int)
    assert shown_red > 190
    assert max(blue, green) < 60


def test_a_file_that_is_not_a_video_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"text")
    with pytest.raises(StageError) as refused:
        write_thumbnail(tmp_path / "v.mp4", tmp_path / "t.jpg")
    assert refused.value.code is ErrorCode.FFMPEG
    assert not (tmp_path / "t.jpg").exists()
