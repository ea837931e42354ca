"""The render stage with an engine of the test."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.worker.stages.conftest import RenderedVideo

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.values import RenderValues
from talkingvideo_worker.chunking.windows import ChunkFrames
from talkingvideo_worker.engines.base import PreparedEngine, RenderInput, RenderStats, Window
from talkingvideo_worker.engines.preview.engine import PreviewEngine
from talkingvideo_worker.progress import LogReporter, ProgressCallback, ignore_progress
from talkingvideo_worker.stages.chunk_files import ChunkBounds
from talkingvideo_worker.stages.context import StageContext
from talkingvideo_worker.stages.prepare.publish import publish
from talkingvideo_worker.stages.render import render
from talkingvideo_worker.stages.segments import Segments
from talkingvideo_worker.stages.stitch import stitch
from talkingvideo_worker.stages.workspace import require_plan

pytestmark = pytest.mark.media


class GreyEngine:
    """Renders grey frames; every window is a little lighter than the previous one, which it knows only from the state."""

    name = "grey"
    stateful = True

    def __init__(self, windows: int = 99, frames: int = 6) -> None:
        self.loaded = 0
        self._windows, self._frames = windows, frames

    def digest(self, values: RenderValues) -> str:
        """The preview engine's, with which the video was planned."""
        return PreviewEngine().digest(values)

    def prepare(self, render_input: RenderInput, folder: Path) -> PreparedEngine:
        return PreparedEngine()

    def chunk_digest(self, render_input: RenderInput, folder: Path, chunk: ChunkFrames) -> str:
        return "grey"

    def load(
        self, render_input: RenderInput, folder: Path, frames: int, progress: ProgressCallback = ignore_progress
    ) -> None:
        self.loaded += 1
        progress(0.5, "Loading the greys")

    def stats(self) -> RenderStats:
        return RenderStats("Resident", 7, 2, {"grey": 0.12345}, ("It is grey.",))

    def render(
        self,
        chunk: ChunkFrames,
        first: int = 0,
        state: Mapping[str, NDArray[Any]] | None = None,
        progress: ProgressCallback = ignore_progress,
    ) -> Iterator[Window]:
        level = int(state["level"]) if state is not None else 0
        for index in range(first, min(len(chunk.windows), self._windows)):
            level += 10
            progress((index + 0.5) / len(chunk.windows), "Greying")
            frame = np.full((640, 640, 3), level, np.uint8)
            yield Window(index, repeat(frame, self._frames), {"level": np.array(level)})


def unrendered(rendered: RenderedVideo, folder: Path, *suffixes: str) -> StageContext:
    """A context whose chunk has lost its files with some suffixes."""
    context = rendered.context(folder)
    for suffix in suffixes:
        for path in (folder / "chunks").glob(f"*/*.{suffix}"):
            path.unlink()
    return context


def use(engine: GreyEngine, monkeypatch: pytest.MonkeyPatch) -> GreyEngine:
    monkeypatch.setattr("talkingvideo_worker.stages.context.make_engine", lambda name: engine)
    return engine


def chunk_file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "chunks").glob("*/*"))


def test_a_finished_chunk_needs_no_engine(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(GreyEngine(), monkeypatch)
    assert render(rendered.context(tmp_path), 0).resumed_windows == 1
    assert engine.loaded == 0


def test_a_chunk_with_all_segments_is_finished_without_loading_the_model(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, context = use(GreyEngine(), monkeypatch), unrendered(rendered, tmp_path, "json")
    assert render(context, 0).resumed_windows == 1
    assert chunk_file_names(tmp_path) == ["done.json", "segment-0000.mp4"]
    assert engine.loaded == 0


def test_a_window_and_its_state_are_kept(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(GreyEngine(), monkeypatch)
    assert render(unrendered(rendered, tmp_path, "json", "mp4"), 0).resumed_windows == 0
    done, mode, segment, state = chunk_file_names(tmp_path)
    assert (done, segment) == ("done.json", "segment-0000.mp4")
    assert mode.startswith("mode-0000-") and mode.endswith(".json")
    assert state.startswith("state-0000-") and state.endswith(".npz")


def test_the_report_says_how_the_engine_rendered_and_so_does_what_is_kept(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(GreyEngine(), monkeypatch)
    report = render(unrendered(rendered, tmp_path, "json", "mp4"), 0)
    assert (report.memory_mode, report.peak_gpu_bytes, report.gpus) == ("Resident", 7, 2)
    assert report.part_seconds == {"grey": 0.123}
    assert report.warnings == ("It is grey.",)
    assert report.gpu_seconds == pytest.approx(2 * (report.load_seconds + report.render_seconds), abs=0.01)
    (done,) = (tmp_path / "chunks").glob("*/done.json")
    assert json.loads(done.read_text())["rendering"]["memoryMode"] == "Resident"


def test_a_chunk_that_is_found_finished_says_in_which_mode_it_was_made(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first case by another pod that renders the same chunk, in the second for another video."""
    use(GreyEngine(), monkeypatch)
    context = unrendered(rendered, tmp_path, "json", "mp4")
    assert publish(context).memory_modes is None
    report = render(context, 0)
    assert render(rendered.context(tmp_path), 0).memory_mode == report.memory_mode == "Resident"
    assert publish(context).memory_modes == ("Resident",)
    stitch(context)
    (chunk,) = json.loads((tmp_path / "out" / "film.json").read_text())["chunks"]
    assert chunk["rendering"]["memoryMode"] == "Resident"


def test_a_chunk_that_another_pod_has_begun_says_both_modes(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(GreyEngine(), monkeypatch)
    context = unrendered(rendered, tmp_path, "json", "mp4")
    plan = require_plan(context)
    (chunk,) = plan.chunks
    halves = chunk.model_copy(update={"windows": (3, 3)})
    (tmp_path / "work" / "hello" / "plan.json").write_text(plan.model_copy(update={"chunks": (halves,)}).to_json())
    begun = tmp_path / "begun.mp4"
    begun.write_bytes(b"three frames of another pod")
    Segments(context.chunks, halves, tmp_path, ChunkBounds.of(plan)).commit(0, begun, {"level": np.array(50)}, "FP8")
    use(GreyEngine(frames=3), monkeypatch)
    assert render(rendered.context(tmp_path), 0).memory_mode == "FP8; Resident"


def test_progress_reports_parts_and_steps_and_never_goes_back(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(GreyEngine(), monkeypatch)
    context = unrendered(rendered, tmp_path, "json", "mp4")
    lines = io.StringIO()
    render(replace(context, reporter=LogReporter(lines, interval=0)), 0)
    reported = [json.loads(line)["progress"] for line in lines.getvalue().splitlines()]
    assert [line["message"] for line in reported[:4]] == [
        "Fetching the plan's files", "Loading the engine", "Loading the greys", "Greying"
    ]  # fmt: skip
    fractions = [line["fraction"] for line in reported]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1


@pytest.mark.parametrize("engine", [GreyEngine(windows=0), GreyEngine(frames=5), GreyEngine(frames=7)])
def test_an_engine_that_makes_too_little_or_too_much_does_not_finish_the_chunk(
    rendered: RenderedVideo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: GreyEngine
) -> None:
    use(engine, monkeypatch)
    with pytest.raises(StageError) as failure:
        render(unrendered(rendered, tmp_path, "json", "mp4"), 0)
    assert failure.value.code is ErrorCode.GENERATION_RUNTIME
    assert chunk_file_names(tmp_path) == []
