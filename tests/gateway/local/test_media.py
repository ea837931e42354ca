"""The files of a local gateway."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from talkingvideo_api import names
from talkingvideo_gateway.local.backend import LocalOptions, local_backend
from talkingvideo_gateway.local.media import LocalMedia

LONG_AGO = 1_000_000_000

NAMED, UNNAMED, FRESH = (digit * 64 for digit in "012")
ANNOUNCED = f"upload-{'0' * 32}.record"
INTERRUPTED = f".{'0' * 16}.part"


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """Files of a caller, all but one of which are old."""
    folder = tmp_path / "uploads" / "default" / "alice"
    folder.mkdir(parents=True)
    for name in (NAMED, UNNAMED, FRESH, ANNOUNCED, INTERRUPTED):
        (folder / name).write_bytes(b"a file")
        if name != FRESH:
            os.utime(folder / name, (LONG_AGO, LONG_AGO))
    return folder


def found(folder: Path) -> Iterator[str]:
    return (path.name for path in folder.iterdir())


def test_an_input_is_deleted_when_no_video_names_it_any_more(tmp_path: Path, uploads: Path) -> None:
    spec = {"source": {"image": {"uri": (uploads / NAMED).as_uri()}}, "suspend": True}
    document = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": {"name": "a"}, "spec": spec}

    async def with_the_video() -> None:
        async with local_backend(LocalOptions(tmp_path, command=("false",))) as backend:
            await backend.videos.create("default", document)
            async with asyncio.timeout(20):
                while {UNNAMED, INTERRUPTED} & {*found(uploads)}:
                    await asyncio.sleep(0.01)

    async def without_it() -> None:
        async with local_backend(LocalOptions(tmp_path, command=("false",))) as backend:
            await backend.videos.delete("default", "a")
            async with asyncio.timeout(20):
                while NAMED in found(uploads):
                    await asyncio.sleep(0.01)

    asyncio.run(with_the_video())
    assert {*found(uploads)} == {NAMED, FRESH, ANNOUNCED}
    asyncio.run(without_it())
    assert {*found(uploads)} == {FRESH, ANNOUNCED}


def test_an_input_that_is_looked_for_stays(tmp_path: Path, uploads: Path) -> None:
    media = LocalMedia(tmp_path / "uploads", tmp_path / "results")
    assert asyncio.run(media.find("default", "alice", UNNAMED)) is not None
    media.delete_unnamed(lambda _: False, LONG_AGO + 1)

    assert {*found(uploads)} == {UNNAMED, FRESH, ANNOUNCED}
