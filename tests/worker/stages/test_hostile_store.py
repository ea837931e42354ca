"""Files that somebody else has put into the store under our names: bounded while they are fetched, and ended in words."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.worker.stages.conftest import RenderedVideo

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import SOUND_NAME, segment_name
from talkingvideo_worker.stages.chunk_files import done_name
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.stitch import stitch
from talkingvideo_worker.stages.workspace import require_plan

pytestmark = pytest.mark.media

TERABYTE = 1 << 40


def grown(path: Path) -> None:
    """Make a file of a store larger than any disk; it is a hole, and takes no disk itself."""
    with path.open("wb") as file:
        file.truncate(TERABYTE)


def ends_in_words(act: Callable[[], object], context: StageContext, said: str) -> None:
    with pytest.raises(StageError, match=said) as caught:
        act()
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.WORKSPACE, False)
    left = sum(path.stat().st_size for path in context.scratch.glob("*.mp4"))
    assert left < 10_000_000


def test_stitch_fetches_no_segment_that_its_frames_do_not_explain(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    chunk = require_plan(context).chunks[0]
    grown(tmp_path / "chunks" / segment_name(chunk.key, 0))
    ends_in_words(lambda: stitch(context), context, "segment-0000.mp4 is larger than")


def test_a_segment_that_is_a_little_too_large_is_refused_as_well(rendered: RenderedVideo, tmp_path: Path) -> None:
    context = rendered.context(tmp_path)
    plan = require_plan(context)
    chunk = plan.chunks[0]
    most = (1 << 20) + chunk.windows[0] * plan.delivered_width * plan.delivered_height * 2
    path = tmp_path / "chunks" / segment_name(chunk.key, 0)
    path.write_bytes(path.read_bytes().ljust(most, b"\0"))
    stitch(context)
    shutil.rmtree(tmp_path / "out")
    path.write_bytes(path.read_bytes() + b"\0")
    ends_in_words(lambda: stitch(context), context, f"is larger than {most:,} bytes")


def test_stitch_fetches_no_endless_sound(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = rendered.context(tmp_path)
    plan = require_plan(context)
    monkeypatch.setattr("talkingvideo_worker.stages.workspace.most_prepared_bytes", lambda limits: 5_000_000)
    grown(tmp_path / "work" / "hello" / plan.stored_name(SOUND_NAME))
    ends_in_words(lambda: stitch(context), context, "is larger than 5,000,000 bytes")


def test_render_fetches_no_endless_file_of_the_plan(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = rendered.context(tmp_path)
    plan = require_plan(context)
    chunk = plan.chunks[0]
    for name in (segment_name(chunk.key, 0), done_name(chunk.key)):
        (tmp_path / "chunks" / name).unlink()
    monkeypatch.setattr("talkingvideo_worker.stages.workspace.most_prepared_bytes", lambda limits: 5_000_000)
    grown(tmp_path / "work" / "hello" / plan.stored_name(plan.picture))
    ends_in_words(lambda: render(context, 0), context, "is larger than 5,000,000 bytes")


@pytest.mark.parametrize("name", ["plan.json", "done.json"])
def test_documents_of_the_store_are_small(rendered: RenderedVideo, tmp_path: Path, name: str) -> None:
    context = rendered.context(tmp_path)
    chunk = require_plan(context).chunks[0]
    paths = {
        "plan.json": tmp_path / "work" / "hello" / "plan.json",
        "done.json": tmp_path / "chunks" / done_name(chunk.key),
    }
    grown(paths[name])
    ends_in_words(lambda: render(context, 0), context, f"{name} is larger than")
