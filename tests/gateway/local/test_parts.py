"""What is finished of a video while this machine makes it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from talkingvideo_api.names import Stage
from talkingvideo_api.plan import PLAN_NAME, SOUND_NAME, Plan, PlannedChunk, PlannedFile, segment_name
from talkingvideo_gateway.local.parts import LocalParts
from talkingvideo_gateway.videos.backend import MediaFile
from talkingvideo_gateway.videos.object import VideoObject

KEYS = ("a" * 64, "b" * 64)
PLAN = Plan(
    effective_digest="0" * 64,
    files={
        "picture.png": PlannedFile(sha256="1" * 64, used_by=(Stage.RENDER,)),
        SOUND_NAME: PlannedFile(sha256="2" * 64, used_by=(Stage.STITCH,)),
    },
    picture="picture.png",
    tracks=(),
    frames=400,
    width=640,
    height=640,
    delivered_width=640,
    delivered_height=640,
    sound_seconds=16,
    engine_digest="preview",
    chunks=(
        PlannedChunk(index=0, start_frame=0, windows=(81, 119), first_window=0, key=KEYS[0]),
        PlannedChunk(index=1, start_frame=200, windows=(81, 119), first_window=2, key=KEYS[1]),
    ),
)
VIDEO = VideoObject.of(
    {
        "metadata": {
            "namespace": "default",
            "name": "mine",
            "uid": "11111111-2222",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-01T00:00:00+00:00",
        }
    }
)


@pytest.fixture
def parts(tmp_path: Path) -> LocalParts:
    return LocalParts(tmp_path / "plans", tmp_path / "workspace")


@pytest.fixture
def planned(parts: LocalParts) -> LocalParts:
    """A run has made its plan."""
    folder = parts.plans / VIDEO.uid
    folder.mkdir(parents=True)
    (folder / PLAN_NAME).write_text(PLAN.to_json())
    (folder / PLAN.stored_name(SOUND_NAME)).write_bytes(b"sound")
    return parts


def render(parts: LocalParts, key: str, window: int) -> None:
    file = parts.workspace / "default" / "chunks" / segment_name(key, window)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"{key[0]}{window}".encode())


async def content(file: MediaFile) -> bytes:
    return b"".join([piece async for piece in file.read(0, file.bytes)])


def finished(parts: LocalParts) -> list[tuple[int, int, bytes]]:
    found = asyncio.run(parts(VIDEO))
    assert found is not None
    return [(part.start_frame, part.frames, asyncio.run(content(part.file))) for part in found.parts]


def test_there_is_nothing_before_the_plan(parts: LocalParts) -> None:
    assert asyncio.run(parts(VIDEO)) is None


def test_a_plan_that_cannot_be_read_is_none(planned: LocalParts) -> None:
    (planned.plans / VIDEO.uid / PLAN_NAME).write_text('{"version": 3, "frames": "many"}')
    assert asyncio.run(planned(VIDEO)) is None


def test_each_window_is_a_part_as_soon_as_it_is_written(planned: LocalParts) -> None:
    assert finished(planned) == []
    render(planned, KEYS[0], 0)
    assert finished(planned) == [(0, 81, b"a0")]
    render(planned, KEYS[0], 1)
    render(planned, KEYS[1], 1)
    assert finished(planned) == [(0, 81, b"a0"), (81, 119, b"a1"), (281, 119, b"b1")]


def test_the_sound_is_that_of_the_whole_video(planned: LocalParts) -> None:
    found = asyncio.run(planned(VIDEO))
    assert found is not None
    assert found.frames == 400
    assert asyncio.run(content(found.sound)) == b"sound"
