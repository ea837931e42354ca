"""Windows of a chunk in the store: two pods that render one chunk cannot disagree, and none continues without a state."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_api.plan import PlannedChunk, segment_name
from talkingvideo_api.reports import RenderReport
from talkingvideo_clients.stores.base import FileInfo
from talkingvideo_clients.stores.local import LocalStore
from talkingvideo_worker.stages.chunk_files import ChunkBounds, read_render_report, state_name, write_done
from talkingvideo_worker.stages.segments import Segments, State

KEY = "ab" * 32
CHUNK = PlannedChunk(index=0, start_frame=0, windows=(4, 4, 4), first_window=0, key=KEY)
BOUNDS = ChunkBounds(rendered=64 * 64, delivered=64 * 64)


class WithoutDigests(LocalStore):
    """Like S3 services that keep no metadata."""

    def stat(self, name: str) -> FileInfo | None:
        stored = super().stat(name)
        return stored and FileInfo(stored.bytes, None)


class Pod:
    """Makes windows as a stateful engine does: each depends on all previous ones.

    The content of a segment lists the pods that made the window and its predecessors.
    """

    def __init__(self, name: str, store: LocalStore, scratch: Path) -> None:
        scratch.mkdir()
        self.name, self.scratch = name, scratch
        self.segments = Segments(store, CHUNK, scratch, BOUNDS)

    def windows(self) -> Iterator[bool]:
        """Continue until all windows exist; yields after each whether this pod committed it."""
        first, state = self.segments.resume_point(stateful=True)
        while first < len(CHUNK.windows):
            history = "" if state is None else str(state["history"])
            for window in range(first, len(CHUNK.windows)):
                history += self.name
                committed = self.segments.commit(window, self.segment(history), {"history": np.array(history)})
                yield committed
                if not committed:
                    break
            first, state = self.segments.resume_point(stateful=True)

    def segment(self, content: str) -> Path:
        path = self.scratch / "segment.mp4"
        path.write_text(content)
        return path


@pytest.fixture(params=[LocalStore, WithoutDigests])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LocalStore:
    store: LocalStore = request.param(tmp_path / "store")
    return store


def contents(store: LocalStore) -> list[str]:
    return [store.read(f"{KEY}/segment-{window:04d}.mp4").decode() for window in range(3)]


@pytest.mark.parametrize("turns", ["abababab", "aabbaabb", "abbbbaaa", "baabbaab", "abbabbab"])
def test_whichever_pod_is_first_every_window_continues_the_previous_one(
    store: LocalStore, tmp_path: Path, turns: str
) -> None:
    pods = {name: Pod(name, store, tmp_path / name).windows() for name in "ab"}
    committed = [name for name in turns if next(pods[name], False)]
    assert len(committed) == 3
    assert contents(store) == ["".join(committed[: length + 1]) for length in range(3)]


def test_a_pod_that_is_killed_and_its_follower_make_one_history(store: LocalStore, tmp_path: Path) -> None:
    next(Pod("a", store, tmp_path / "a").windows())
    list(Pod("b", store, tmp_path / "b").windows())
    assert contents(store) == ["a", "ab", "abb"]


def test_a_pod_killed_between_state_and_segment_leaves_no_inconsistency(store: LocalStore, tmp_path: Path) -> None:
    loser = Pod("l", store, tmp_path / "l")
    next(Pod("w", store, tmp_path / "w").windows())
    loser.segments.commit(0, loser.segment("l"), {"history": np.array("l")})
    list(Pod("n", store, tmp_path / "n").windows())
    assert contents(store) == ["w", "wn", "wnn"]


def test_a_window_whose_state_was_lost_is_made_again(store: LocalStore, tmp_path: Path) -> None:
    pod = Pod("a", store, tmp_path / "a").windows()
    assert [next(pod), next(pod)] == [True, True]
    for state in (tmp_path / "store" / KEY).glob("state-0001-*"):
        state.unlink()
    assert Segments(store, CHUNK, tmp_path / "a", BOUNDS).resume_point(stateful=True)[0] == 1
    list(Pod("b", store, tmp_path / "b").windows())
    assert contents(store) == ["a", "ab", "abb"]


def test_the_memory_mode_of_every_committed_window_is_known(store: LocalStore, tmp_path: Path) -> None:
    first, second = Pod("a", store, tmp_path / "a"), Pod("b", store, tmp_path / "b")
    assert first.segments.commit(0, first.segment("x"), None, "FP8")
    assert not second.segments.commit(0, second.segment("y"), None, "Int8")
    assert second.segments.commit(1, second.segment("y"), None, "BF16")
    assert second.segments.commit(2, second.segment("z"), None, "FP8")
    assert first.segments.memory_modes() == second.segments.memory_modes() == ("FP8", "BF16")


def test_an_engine_without_memory_modes_has_none(store: LocalStore, tmp_path: Path) -> None:
    pod = Pod("a", store, tmp_path / "a")
    for window in range(3):
        pod.segments.commit(window, pod.segment("x"), None)
    assert pod.segments.memory_modes() == ()


def test_an_engine_without_state_needs_none(store: LocalStore, tmp_path: Path) -> None:
    pod = Pod("a", store, tmp_path / "a")
    assert pod.segments.commit(0, pod.segment("frames"), None)
    assert pod.segments.resume_point(stateful=False) == (1, None)
    assert not pod.segments.commit(0, pod.segment("others"), None)


def test_a_chunk_with_every_segment_is_finished_without_another_window(store: LocalStore, tmp_path: Path) -> None:
    list(Pod("a", store, tmp_path / "a").windows())
    follower = Pod("b", store, tmp_path / "b")
    assert read_render_report(store, KEY) is None
    assert list(follower.windows()) == []
    report = RenderReport(chunk=0, key="a" * 64, frames=3)
    write_done(store, CHUNK, "engine", report, tmp_path)
    assert read_render_report(store, KEY) == report.to_dict()


def test_states_keep_their_arrays(store: LocalStore, tmp_path: Path) -> None:
    pod = Pod("a", store, tmp_path / "a")
    state: Mapping[str, NDArray[Any]] = {"latents": np.ones((2, 3), np.float32), "step": np.array(4)}
    pod.segments.commit(0, pod.segment("x"), state)
    first, found = pod.segments.resume_point(stateful=True)
    assert first == 1
    _assert_same(found, state)


def _assert_same(found: State | None, wanted: State) -> None:
    assert found is not None
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


def with_a_hole(path: Path, size: int) -> None:
    """A file that says it has so many bytes, and takes no disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


HOSTILE_SIZES = [BOUNDS.state + 1, 100 << 30, 1 << 42]


@pytest.mark.parametrize("size", HOSTILE_SIZES)
def test_a_state_larger_than_engines_leave_ends_in_words(store: LocalStore, tmp_path: Path, size: int) -> None:
    pod = Pod("a", store, tmp_path / "a")
    assert next(pod.windows())
    digest = hashlib.sha256(b"a").hexdigest()
    with_a_hole(tmp_path / "store" / state_name(KEY, 0, digest), size)
    with pytest.raises(StageError, match="is larger than") as caught:
        pod.segments.resume_point(stateful=True)
    assert (caught.value.code, caught.value.retryable) == (ErrorCode.WORKSPACE, False)
    assert state_name(KEY, 0, digest) in caught.value.message
    assert [path.name for path in pod.scratch.iterdir()] == ["segment.mp4"]


@pytest.mark.parametrize("size", HOSTILE_SIZES)
def test_a_segment_larger_than_its_frames_is_not_even_looked_at_for_its_digest(
    store: LocalStore, tmp_path: Path, size: int
) -> None:
    pod = Pod("a", store, tmp_path / "a")
    assert next(pod.windows())
    with_a_hole(tmp_path / "store" / segment_name(KEY, 0), size)
    assert pod.segments.count() == 1
    if isinstance(store, WithoutDigests) or size > 64 << 30:
        with pytest.raises(StageError, match="is larger than") as caught:
            pod.segments.resume_point(stateful=True)
        assert caught.value.code is ErrorCode.WORKSPACE


def test_an_engine_that_leaves_more_than_would_be_read_is_told_so(store: LocalStore, tmp_path: Path) -> None:
    pod = Pod("a", store, tmp_path / "a")
    with pytest.raises(StageError, match="nothing would read it") as caught:
        pod.segments.commit(0, pod.segment("a"), {"much": np.zeros(BOUNDS.state, np.uint8)})
    assert caught.value.code is ErrorCode.GENERATION_RUNTIME
    assert pod.segments.count() == 0
