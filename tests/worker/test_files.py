"""Scratch folders never outlive their process."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from talkingvideo_worker.files import scratch_folder

HOLDING = """
import sys, time
from pathlib import Path
from talkingvideo_worker.files import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "frames").write_bytes(b"x" * 1000)
    print("ready", flush=True)
    time.sleep(60)
"""


def holder(parent: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(parent)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_folder_is_gone_when_its_block_ends_also_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), scratch_folder(tmp_path) as folder:
        (folder / "file").touch()
        raise ValueError("stop")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    killed = holder(tmp_path)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(list(tmp_path.iterdir())) == 1
    with scratch_folder(tmp_path) as folder:
        assert list(tmp_path.iterdir()) == [folder]


def test_the_folder_of_a_living_process_is_left_alone(tmp_path: Path) -> None:
    living = holder(tmp_path)
    try:
        with scratch_folder(tmp_path):
            assert len(list(tmp_path.glob("*/frames"))) == 1
    finally:
        living.kill()
        living.wait()


def test_folders_of_other_programs_are_left_alone_whatever_is_in_them(tmp_path: Path) -> None:
    """The tests' cluster keeps its state in such a folder; a sweep once removed it under a running server."""
    other = tmp_path / "talkingvideo-cluster-0"
    other.mkdir()
    (other / ".lock").touch()
    with scratch_folder(tmp_path):
        assert other.exists()
