from __future__ import annotations

from chunking import wasted_frames


def test_dropped_frames_are_those_rendered_and_not_shown() -> None:
    assert wasted_frames(81 + 72) == 0
    assert wasted_frames(81 + 70) == 2
    assert wasted_frames(1) == 80
