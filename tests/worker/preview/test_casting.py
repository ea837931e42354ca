"""Where the faces of a video are looked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from talkingvideo_worker.engines.preview import casting
from talkingvideo_worker.faces.types import Picture


def test_a_video_without_a_face_is_searched_every_second_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search in vain goes through all tiles: every frame of ten minutes took an hour."""
    searched: list[int] = []

    def in_vain(picture: Picture, place: casting.Place) -> None:
        searched.append(int(picture[0, 0, 0]))

    def pictures() -> Iterator[Picture]:
        for number in range(110):
            yield np.full((8, 8, 3), number, np.uint8)

    monkeypatch.setattr(casting, "find_points", in_vain)
    assert list(casting.follow(pictures(), casting.WHOLE)) == [None] * 110
    assert searched == [*range(25), 25, 50, 75, 100]
