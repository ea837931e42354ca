"""What makes a new revision."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.objects import video

from talkingvideo_api.revision import revision_of

BASE = revision_of(video().spec)


@pytest.mark.parametrize(
    "spec",
    [
        {"suspend": True},
        {"cancel": True},
        {"priority": "high"},
        {"queueName": "gpus"},
        {"activeDeadlineSeconds": 60},
        {"ttlSecondsAfterFinished": 60},
        {"notify": {"url": "https://example.com/"}},
        {"chunking": {"maxParallel": 7}},
    ],
)
def test_what_changes_no_pixel_keeps_the_revision(spec: dict[str, Any]) -> None:
    assert revision_of(video(**spec).spec) == BASE


@pytest.mark.parametrize(
    "spec",
    [
        {"prompt": "A person singing"},
        {"chunking": {"targetSeconds": 60}},
        {"render": {"seed": 1}},
        {"output": {"name": "other"}},
        {"dryRun": True},
        {"source": {"image": {"uri": "s3://media/other.png"}}},
    ],
)
def test_what_changes_the_result_is_another_revision(spec: dict[str, Any]) -> None:
    assert revision_of(video(**spec).spec) != BASE


def test_a_revision_is_eight_hexadecimal_digits() -> None:
    assert len(BASE) == 8
    int(BASE, 16)
