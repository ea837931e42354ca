"""Where the faces of a video are searched."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from talkingvideo_worker.engines.preview import face_assignment
from talkingvideo_worker.faces.types import Picture


def test_a_video_without_a_face_is_searched_once_per_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that finds nothing goes through all tiles: for every frame of ten minutes it took an hour."""
    searched: list[int] = []

    def find_nothing(picture: Picture, region: face_assignment.SpeakerRegion) -> None:
        searched.append(int(picture[0, 0, 0]))

    def pictures() -> Iterator[Picture]:
        for number in range(110):
            yield np.full((8, 8, 3), number, np.uint8)

    monkeypatch.setattr(face_assignment, "find_landmarks", find_nothing)
    assert list(face_assignment.track_landmarks(pictures(), face_assignment.WHOLE_PICTURE)) == [None] * 110
    assert searched == [*range(25), 25, 50, 75, 100]
