"""Every stage can be killed at any moment and run again: the same result, and no half-written file under its name."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import av
import pytest
from tests.worker.stages.conftest import MakeOrder, make_in

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.order import Order

pytestmark = pytest.mark.media


class Pod:
    """Runs stages as a pod would: the command, an order file, a scratch folder that ends with the pod."""

    def __init__(self, order: Order, folder: Path) -> None:
        self.order_file = folder / "order.json"
        self.order_file.write_text(order.to_json())
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from talkingvideo_worker.cli import main; main()", *arguments]
        return subprocess.Popen(
            [*command, "--order", str(self.order_file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary)},
        )

    def run(self, *arguments: str) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output
        return output

    def kill_when(self, reached: Callable[[], bool], *arguments: str, by: int = signal.SIGKILL) -> int:
        """Start a stage and kill it as soon as something is reached; returns how it ended."""
        process = self.start(*arguments)
        while process.poll() is None and not reached():
            time.sleep(0.002)
        process.send_signal(by)
        process.communicate(timeout=60)
        return process.returncode


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, portrait: Path, voice: Path) -> Path:
    """A folder in which prepare has run: 5 windows in one chunk, of 17 + 3 x 12 + 5 frames."""
    folder = tmp_path_factory.mktemp("prepared")
    Pod(order_in(folder, portrait, voice), folder).run("prepare")
    return folder


def order_in(folder: Path, portrait: Path, voice: Path) -> Order:
    return make_in(folder, portrait, voice)(
        chunking={"targetSeconds": 60},
        video={"maxFrames": 58},
        render={"windowFrames": 17, "motionFrames": 5},
    )


@pytest.fixture
def order(tmp_path: Path, portrait: Path, voice: Path) -> Order:
    return order_in(tmp_path, portrait, voice)


@pytest.fixture
def unprepared(order: Order, tmp_path: Path) -> Pod:
    return Pod(order, tmp_path)


@pytest.fixture
def pod(order: Order, tmp_path: Path, prepared: Path) -> Pod:
    shutil.copytree(prepared / "work", tmp_path / "work")
    return Pod(order, tmp_path)


def folder(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def segments(order: Order) -> list[Path]:
    return sorted(folder(order.places.chunks).glob("*/segment-*.mp4"))


def has_segments(order: Order, count: int) -> bool:
    return len(segments(order)) >= count


def has_passed(moment: float) -> bool:
    return time.monotonic() > moment


def result(order: Order) -> Path:
    return folder(order.places.result + ".mp4")


def test_a_render_killed_at_every_window_goes_on_there_and_makes_the_same_segments(pod: Pod, order: Order) -> None:
    pod.run("render", "--chunk", "0")
    whole = {path.name: path.read_bytes() for path in segments(order)}
    assert len(whole) == 5  # of 17 + 3 x 12 + 5 frames
    shutil.rmtree(folder(order.places.chunks))
    for finished in range(1, 4):
        pod.kill_when(partial(has_segments, order, finished), "render", "--chunk", "0")
        for path in segments(order):
            with av.open(str(path)) as file:
                assert sum(1 for _ in file.decode(video=0)) > 0
    pod.run("render", "--chunk", "0")
    assert {path.name: path.read_bytes() for path in segments(order)} == whole


def test_a_stitch_killed_at_any_moment_leaves_no_result_or_a_whole_one(pod: Pod, order: Order) -> None:
    """Between which writes it is killed is up to chance here, and is not in test_result.py."""
    pod.run("render", "--chunk", "0")
    started = time.monotonic()
    pod.run("stitch")
    whole, duration = result(order).read_bytes(), time.monotonic() - started
    for part in (0.5, 0.7, 0.8, 0.9):
        for path in folder(order.places.result).parent.iterdir():
            path.unlink()
        pod.kill_when(partial(has_passed, time.monotonic() + part * duration), "stitch")
        assert not result(order).exists() or result(order).read_bytes() == whole
    pod.run("stitch")
    assert result(order).read_bytes() == whole


def test_a_prepare_killed_half_way_is_made_whole_by_the_next(unprepared: Pod, order: Order) -> None:
    pod, workspace = unprepared, folder(order.places.workspace)
    pod.kill_when(lambda: any(workspace.glob("picture-*.png")), "prepare")
    assert not (workspace / "plan.json").exists() or json.loads((workspace / "plan.json").read_text())
    pod.run("prepare")
    first = (workspace / "plan.json").read_bytes()
    pod.run("prepare")
    assert (workspace / "plan.json").read_bytes() == first


def test_a_terminated_stage_ends_at_once_and_leaves_no_temporary_file(pod: Pod, order: Order) -> None:
    ended = pod.kill_when(lambda: len(segments(order)) >= 1, "render", "--chunk", "0", by=signal.SIGTERM)
    assert ended == 128 + signal.SIGTERM
    assert list(pod.temporary.iterdir()) == []


def test_what_a_killed_stage_left_behind_is_removed_by_the_next(pod: Pod, order: Order) -> None:
    pod.kill_when(lambda: len(segments(order)) >= 1, "render", "--chunk", "0")
    assert list(pod.temporary.iterdir())
    pod.run("render", "--chunk", "0")
    assert list(pod.temporary.iterdir()) == []


def test_two_pods_that_render_one_chunk_at_once_make_it_once(pod: Pod, order: Order) -> None:
    pods = [pod.start("render", "--chunk", "0") for _ in range(2)]
    assert [process.wait(timeout=120) for process in pods] == [0, 0]
    assert len(segments(order)) == 5
    kept = {path.name for path in folder(order.places.chunks).glob("*/*")}
    assert kept == {*(path.name for path in segments(order)), "done.json"}
    assert pod.run("stitch")
    with av.open(str(result(order))) as file:
        assert sum(1 for _ in file.decode(video=0)) == 58


def test_a_finished_chunk_is_not_rendered_again(pod: Pod, order: Order) -> None:
    pod.run("render", "--chunk", "0")
    made = {path: path.stat().st_mtime_ns for path in segments(order)}
    assert '"progress"' not in pod.run("render", "--chunk", "0")
    assert {path: path.stat().st_mtime_ns for path in segments(order)} == made


def test_a_stage_ends_with_the_exit_status_of_its_error(make: MakeOrder, tmp_path: Path) -> None:
    order = make(source={"image": {"uri": (tmp_path / "missing.png").as_uri()}})
    process = Pod(order, tmp_path).start("prepare")
    output, _ = process.communicate(timeout=60)
    assert "spec.source.image.uri" in output
    assert process.returncode in {
        ERRORS[code].exit_status for code in (ErrorCode.INPUT_VALIDATION, ErrorCode.DOWNLOAD_FAILED)
    }


def test_a_chunk_that_was_removed_is_named_by_stitch(pod: Pod, order: Order) -> None:
    pod.run("render", "--chunk", "0")
    segments(order)[2].unlink()
    process = pod.start("stitch")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == ERRORS[ErrorCode.WORKSPACE].exit_status
    assert "segment 2 is missing" in output
