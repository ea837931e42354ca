"""Chained chunks: rendered one after the other they equal one streaming run, also after losses in the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.worker.stages.conftest import RenderedVideo

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import Plan
from talkingvideo_api.reports import PrepareReport, RenderReport
from talkingvideo_api.spec import Continuity
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import PreparedEngine, RenderInput, RenderStats, Window
from talkingvideo_worker.progress import ProgressCallback, ignore_progress
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.fetch import fetch
from talkingvideo_worker.stages.prepare.process import process
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.workspace import require_plan

pytestmark = pytest.mark.media

FRAMES = 33
WINDOWS = {"window_frames": 9, "motion_frames": 5, "max_frames": FRAMES}


class RememberingEngine:
    """Renders grey frames whose level depends on all previous windows, which it knows only from the state.

    Args:
        stateful: Whether it returns a state.
        windows: Number of windows after which it fails.
        beginning: Digest of the first chunk.
    """

    name = "remembering"

    def __init__(self, *, stateful: bool = True, windows: int = 99, beginning: str = "") -> None:
        self.stateful = stateful
        self.rendered: list[int] = []
        self._left, self._beginning = windows, beginning

    def digest(self, parameters: Mapping[str, Any]) -> str:
        return "remembering"

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        return PreparedEngine()

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        return "" if chunk.start else self._beginning

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, progress: ProgressCallback = ignore_progress
    ) -> None:
        pass

    def stats(self) -> RenderStats:
        return RenderStats()

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> Iterator[Window]:
        assert (state is None) == (chunk.overlap == 0 and first == 0), (
            "every window but the first continues from a state"
        )
        history = 0 if state is None else int(state["history"])
        for index in range(first, len(chunk.windows)):
            if not self._left:
                raise StageError(ErrorCode.OOM, "no memory")
            self._left -= 1
            number = chunk.first_window + index
            self.rendered.append(number)
            history = (3 * history + 17 * (number + 1)) % 251
            frames = (np.full((640, 640, 3), history, np.uint8) for _ in range(chunk.windows[index]))
            yield Window(index, frames, {"history": np.array(history)} if self.stateful else None)


class Videos:
    """Videos in one folder, made by an engine that a test may replace."""

    def __init__(self, rendered: RenderedVideo, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._rendered, self._folder = rendered, folder
        self.engine = RememberingEngine()
        monkeypatch.setattr("talkingvideo_worker.stages.context.make_engine", lambda name: self.engine)

    def plan(self, name: str, seconds: float, continuity: Continuity = Continuity.CHAINED, **changes: Any) -> Video:
        effective = {**WINDOWS, "target_seconds": seconds, "continuity": continuity, **changes}
        context = self._rendered.context(self._folder, name, **effective)
        fetch(context)
        process(context)
        return Video(context, publish(context))


class Video:
    """A planned video."""

    def __init__(self, context: StageContext, report: PrepareReport) -> None:
        self._context, self.report = context, report

    @property
    def context(self) -> StageContext:
        """A new context each time, as pods have."""
        return replace(self._context)

    @property
    def plan(self) -> Plan:
        return require_plan(self.context)

    def render(self) -> list[RenderReport]:
        return [render(self.context, chunk.index) for chunk in self.plan.chunks]

    def segments(self) -> list[bytes]:
        return [
            self.context.chunks.read(f"{chunk.key}/segment-{window:04d}.mp4")
            for chunk in self.plan.chunks
            for window in range(len(chunk.windows))
        ]

    def lose(self, chunk: int, pattern: str) -> int:
        """Remove files of a chunk; returns their number."""
        folder = Path(self.context.chunks.uri(self.plan.chunks[chunk].key).removeprefix("file://"))
        found = list(folder.glob(pattern))
        for path in found:
            path.unlink()
        return len(found)


@pytest.fixture
def videos(rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Videos:
    return Videos(rendered, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def one_run(rendered: RenderedVideo, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The segments of one chunk as long as the video."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        whole = Videos(rendered, tmp_path_factory.mktemp("whole"), monkeypatch).plan("whole", 100)
        assert len(whole.plan.chunks) == 1
        whole.render()
        return whole.segments()


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_chained_chunks_equal_one_streaming_run(videos: Videos, one_run: list[bytes], seconds: float) -> None:
    chained = videos.plan("chained", seconds)
    assert chained.report.chained
    assert len(chained.plan.chunks) == round(FRAMES / 25 / seconds)
    chained.render()
    assert chained.segments() == one_run


def test_independent_chunks_do_not(videos: Videos, one_run: list[bytes]) -> None:
    independent = videos.plan("independent", 0.7, Continuity.INDEPENDENT)
    assert not independent.report.chained
    independent.render()
    assert independent.segments() != one_run


@pytest.mark.parametrize("windows", [1, 2, 6])
def test_a_pod_killed_at_any_window_changes_nothing(videos: Videos, one_run: list[bytes], windows: int) -> None:
    chained = videos.plan("chained", 0.4)
    videos.engine = RememberingEngine(windows=windows)
    with pytest.raises(StageError):
        chained.render()
    videos.engine = RememberingEngine()
    chained.render()
    assert chained.segments() == one_run
    assert videos.engine.rendered == list(range(windows, 7))


@pytest.mark.parametrize(
    ("lost", "rendered_again"),
    [
        ([(1, "state-0001*")], [3, 4, 5, 6]),
        ([(1, "state-*")], [2, 3, 4, 5, 6]),
        ([(1, "state-*"), (0, "state-*")], [0, 1, 2, 3, 4, 5, 6]),
        ([(1, "state-*"), (0, "state-0001*")], [1, 2, 3, 4, 5, 6]),
        ([(0, "state-*")], [4, 5, 6]),
    ],
)
def test_the_state_from_which_a_chunk_continues_is_restored_when_the_store_has_lost_it(
    videos: Videos, one_run: list[bytes], lost: list[tuple[int, str]], rendered_again: list[int]
) -> None:
    chained = videos.plan("chained", 0.5)
    assert [len(chunk.windows) for chunk in chained.plan.chunks] == [2, 2, 3]
    chained.render()
    chained.lose(2, "*")
    for chunk, pattern in lost:
        assert chained.lose(chunk, pattern)
    videos.engine = RememberingEngine()
    report = render(chained.context, 2)
    assert videos.engine.rendered == rendered_again
    assert chained.segments() == one_run
    assert report.resumed_windows == 0
    restored = {chunk for chunk, _ in lost} if rendered_again[0] < 4 else set()
    assert len(report.warnings) == len(restored)
    assert all(f"final state of chunk {chunk}" in " ".join(report.warnings) for chunk in restored)


def test_windows_whose_state_is_lost_do_not_count_as_resumed(videos: Videos) -> None:
    chained = videos.plan("chained", 0.5)
    chained.render()
    for pattern in ("done.json", "segment-0002*", "state-0001*"):
        assert chained.lose(2, pattern)
    videos.engine = RememberingEngine()
    report = render(chained.context, 2)
    assert videos.engine.rendered == [5, 6]
    assert report.resumed_windows == 1


def test_an_engine_without_state_has_nothing_to_chain_and_renders_in_parallel(videos: Videos) -> None:
    videos.engine = RememberingEngine(stateful=False)
    asked, usual = (
        videos.plan(continuity.value.lower(), 0.7, continuity)
        for continuity in (Continuity.CHAINED, Continuity.INDEPENDENT)
    )
    assert len(usual.plan.chunks) == 2
    assert asked.plan.chunks == usual.plan.chunks
    assert not asked.report.chained
    assert asked.report.warnings == usual.report.warnings


@pytest.mark.parametrize(("continuity", "changed"), [(Continuity.CHAINED, 3), (Continuity.INDEPENDENT, 1)])
def test_the_key_of_a_chained_chunk_depends_on_all_previous_chunks(
    videos: Videos, continuity: Continuity, changed: int
) -> None:
    keys = []
    for name, beginning in (("a", "quiet"), ("b", "loud"), ("c", "quiet")):
        videos.engine = RememberingEngine(beginning=beginning)
        keys.append([chunk.key for chunk in videos.plan(name, 0.5, continuity).plan.chunks])
    first, other, again = keys
    assert first == again
    assert [a != b for a, b in zip(first, other, strict=True)] == [True] * changed + [False] * (len(first) - changed)
    assert len(set(first)) == len(first) == 3


def test_a_stateful_engine_that_returns_no_state_is_refused(videos: Videos) -> None:
    chained = videos.plan("chained", 0.5)
    forgetful = RememberingEngine(stateful=False)
    forgetful.stateful = True
    forgetful.render = _without_states(forgetful.render)  # type: ignore[method-assign]
    videos.engine = forgetful
    with pytest.raises(StageError, match="returned no state") as failure:
        render(chained.context, 0)
    assert failure.value.code is ErrorCode.GENERATION_RUNTIME


def _without_states(draw: Any) -> Any:
    def render(*args: Any) -> Iterator[Window]:
        for window in draw(*args):
            yield Window(window.index, window.frames)

    return render
