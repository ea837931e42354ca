"""Every stage can be killed at any moment and run again, with the same result and without incomplete files."""

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
from tests.worker.stages.conftest import StageInputFactory, stage_input_factory

from talkingvideo_api.errors import ERRORS, ErrorCode
from talkingvideo_api.stage_input import StageInput

pytestmark = pytest.mark.media


class Pod:
    """Runs stages as a pod would: the command, a stage input file, and a scratch folder that ends with the pod."""

    def __init__(self, stage_input: StageInput, folder: Path) -> None:
        self.stage_input_file = folder / "stage-input.json"
        self.stage_input_file.write_text(stage_input.to_json())
        self.temporary = folder / "tmp"
        self.temporary.mkdir(exist_ok=True)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from talkingvideo_worker.cli import main; main()", *arguments]
        return subprocess.Popen(
            [*command, "--stage-input", str(self.stage_input_file)],
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
        """Start a stage and kill it as soon as a condition holds; returns its exit status."""
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
    Pod(short_stage_input(folder, portrait, voice), folder).run("prepare")
    return folder


def short_stage_input(folder: Path, portrait: Path, voice: Path) -> StageInput:
    return stage_input_factory(folder, portrait, voice)(
        chunking={"targetSeconds": 60},
        video={"maxFrames": 58},
        render={"windowFrames": 17, "motionFrames": 5},
    )


@pytest.fixture
def stage_input(tmp_path: Path, portrait: Path, voice: Path) -> StageInput:
    return short_stage_input(tmp_path, portrait, voice)


@pytest.fixture
def unprepared(stage_input: StageInput, tmp_path: Path) -> Pod:
    return Pod(stage_input, tmp_path)


@pytest.fixture
def pod(stage_input: StageInput, tmp_path: Path, prepared: Path) -> Pod:
    shutil.copytree(prepared / "work", tmp_path / "work")
    return Pod(stage_input, tmp_path)


def folder(uri: str) -> Path:
    return Path(uri.removeprefix("file://"))


def segments(stage_input: StageInput) -> list[Path]:
    return sorted(folder(stage_input.locations.chunks).glob("*/segment-*.mp4"))


def has_segments(stage_input: StageInput, count: int) -> bool:
    return len(segments(stage_input)) >= count


def has_passed(moment: float) -> bool:
    return time.monotonic() > moment


def result(stage_input: StageInput) -> Path:
    return folder(stage_input.locations.result + ".mp4")


def test_a_render_killed_at_every_window_resumes_there_and_makes_the_same_segments(
    pod: Pod, stage_input: StageInput
) -> None:
    pod.run("render", "--chunk", "0")
    whole = {path.name: path.read_bytes() for path in segments(stage_input)}
    assert len(whole) == 5  # of 17 + 3 x 12 + 5 frames
    shutil.rmtree(folder(stage_input.locations.chunks))
    for finished in range(1, 4):
        pod.kill_when(partial(has_segments, stage_input, finished), "render", "--chunk", "0")
        for path in segments(stage_input):
            with av.open(str(path)) as file:
                assert sum(1 for _ in file.decode(video=0)) > 0
    pod.run("render", "--chunk", "0")
    assert {path.name: path.read_bytes() for path in segments(stage_input)} == whole


def test_a_stitch_killed_at_any_moment_leaves_no_result_or_a_whole_one(pod: Pod, stage_input: StageInput) -> None:
    """Here the moment is random; test_result.py kills between each two writes."""
    pod.run("render", "--chunk", "0")
    started = time.monotonic()
    pod.run("stitch")
    whole, duration = result(stage_input).read_bytes(), time.monotonic() - started
    for part in (0.5, 0.7, 0.8, 0.9):
        for path in folder(stage_input.locations.result).parent.iterdir():
            path.unlink()
        pod.kill_when(partial(has_passed, time.monotonic() + part * duration), "stitch")
        assert not result(stage_input).exists() or result(stage_input).read_bytes() == whole
    pod.run("stitch")
    assert result(stage_input).read_bytes() == whole


def test_a_prepare_killed_half_way_is_made_whole_by_the_next(unprepared: Pod, stage_input: StageInput) -> None:
    pod, workspace = unprepared, folder(stage_input.locations.workspace)
    pod.kill_when(lambda: any(workspace.glob("picture-*.png")), "prepare")
    assert not (workspace / "plan.json").exists() or json.loads((workspace / "plan.json").read_text())
    pod.run("prepare")
    first = (workspace / "plan.json").read_bytes()
    pod.run("prepare")
    assert (workspace / "plan.json").read_bytes() == first


def test_a_terminated_stage_ends_at_once_and_leaves_no_temporary_file(pod: Pod, stage_input: StageInput) -> None:
    ended = pod.kill_when(lambda: len(segments(stage_input)) >= 1, "render", "--chunk", "0", by=signal.SIGTERM)
    assert ended == 128 + signal.SIGTERM
    assert list(pod.temporary.iterdir()) == []


def test_what_a_killed_stage_left_behind_is_removed_by_the_next(pod: Pod, stage_input: StageInput) -> None:
    pod.kill_when(lambda: len(segments(stage_input)) >= 1, "render", "--chunk", "0")
    assert list(pod.temporary.iterdir())
    pod.run("render", "--chunk", "0")
    assert list(pod.temporary.iterdir()) == []


def test_two_pods_that_render_one_chunk_at_once_make_it_once(pod: Pod, stage_input: StageInput) -> None:
    pods = [pod.start("render", "--chunk", "0") for _ in range(2)]
    assert [process.wait(timeout=120) for process in pods] == [0, 0]
    assert len(segments(stage_input)) == 5
    kept = {path.name for path in folder(stage_input.locations.chunks).glob("*/*")}
    assert kept == {*(path.name for path in segments(stage_input)), "done.json"}
    assert pod.run("stitch")
    with av.open(str(result(stage_input))) as file:
        assert sum(1 for _ in file.decode(video=0)) == 58


def test_a_finished_chunk_is_not_rendered_again(pod: Pod, stage_input: StageInput) -> None:
    pod.run("render", "--chunk", "0")
    modified = {path: path.stat().st_mtime_ns for path in segments(stage_input)}
    assert '"progress"' not in pod.run("render", "--chunk", "0")
    assert {path: path.stat().st_mtime_ns for path in segments(stage_input)} == modified


def test_a_stage_ends_with_the_exit_status_of_its_error(new_stage_input: StageInputFactory, tmp_path: Path) -> None:
    stage_input = new_stage_input(source={"image": {"uri": (tmp_path / "missing.png").as_uri()}})
    process = Pod(stage_input, tmp_path).start("prepare")
    output, _ = process.communicate(timeout=60)
    assert "spec.source.image.uri" in output
    assert process.returncode in {
        ERRORS[code].exit_status for code in (ErrorCode.INPUT_VALIDATION, ErrorCode.DOWNLOAD_FAILED)
    }


def test_a_chunk_that_was_removed_is_named_by_stitch(pod: Pod, stage_input: StageInput) -> None:
    pod.run("render", "--chunk", "0")
    segments(stage_input)[2].unlink()
    process = pod.start("stitch")
    output, _ = process.communicate(timeout=60)
    assert process.returncode == ERRORS[ErrorCode.WORKSPACE].exit_status
    assert "segment 2 is missing" in output
