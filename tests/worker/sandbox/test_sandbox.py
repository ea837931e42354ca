"""Whatever a child does ends in words, and a child that was taken over reaches nothing."""

from __future__ import annotations

import errno
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from talkingvideo_api.errors import ErrorCode, StageError
from talkingvideo_worker.sandbox.client import Sandbox
from talkingvideo_worker.sandbox.folders import CREATE_RULESET
from talkingvideo_worker.sandbox.limits import LEAST_BYTES, MEMORY_BYTES, PARENT_BYTES, Limits, memory_limit
from talkingvideo_worker.sandbox.syscalls import ARCHITECTURES, REFUSED, SAME_EVERYWHERE

FIELD = "spec.source.image.uri"
LIMITS = Limits(cpu_seconds=10, file_bytes=4 << 20)


class Anything(BaseModel):
    model_config = ConfigDict(extra="allow")


class Found(BaseModel):
    found: Any


@pytest.fixture(scope="module", autouse=True)
def importable_attacks() -> Iterator[None]:
    """The server looks for modules where Python's packages are, not in the current folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
        yield


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox("tests.worker.sandbox.attacks", tmp_path_factory.mktemp("own")) as sandbox:
        yield sandbox


def tried(sandbox: Sandbox, task: str, limits: Limits = LIMITS, **arguments: Any) -> Any:
    return sandbox.run(task, Anything(**arguments), Found, limits, FIELD).found


def refusal(sandbox: Sandbox, task: str, limits: Limits = LIMITS, **arguments: Any) -> str:
    with pytest.raises(StageError) as caught:
        tried(sandbox, task, limits, **arguments)
    assert (caught.value.code, caught.value.field) == (ErrorCode.INPUT_VALIDATION, FIELD)
    assert not caught.value.retryable
    return caught.value.message


def test_a_child_reaches_no_network(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert tried(sandbox, "connect", port=server.getsockname()[1]) == "EPERM"


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_ALG])
def test_a_child_makes_no_socket(sandbox: Sandbox, family: int) -> None:
    assert tried(sandbox, "make_socket", family=family) == "EPERM"


@pytest.mark.parametrize("task", ["start_program", "start_process"])
def test_a_child_starts_nothing(sandbox: Sandbox, task: str) -> None:
    assert tried(sandbox, task) == "EPERM"


def test_a_child_has_threads(sandbox: Sandbox) -> None:
    assert tried(sandbox, "start_thread") == "allowed"


@pytest.mark.parametrize("task", ["signal_process", "signal_by_descriptor", "limit_process", "attach"])
def test_a_child_reaches_no_other_process(sandbox: Sandbox, task: str) -> None:
    assert tried(sandbox, task, process=os.getpid()) in {"EPERM", "EACCES"}


def test_a_child_cannot_raise_its_limits(sandbox: Sandbox) -> None:
    if os.getuid() == 0:
        pytest.skip("root may raise limits; pods run as another user")
    assert tried(sandbox, "raise_limit") == "refused"


@pytest.mark.parametrize("name", [*REFUSED, *SAME_EVERYWHERE])
def test_a_child_cannot_call(sandbox: Sandbox, name: str) -> None:
    """Called for real, with arguments that would fail otherwise: not one of them is EPERM of the call itself."""
    number = SAME_EVERYWHERE.get(name) or REFUSED[name][platform.machine() == "aarch64"]
    assert tried(sandbox, "call", number=number) == "EPERM"


def test_every_architecture_refuses_as_much() -> None:
    x86, arm = (ARCHITECTURES[name] for name in ("x86_64", "aarch64"))
    assert len(set(arm.refused)) == len(arm.refused) == len(REFUSED) + len(SAME_EVERYWHERE)
    assert len(set(x86.refused)) == len(x86.refused) > len(arm.refused)


def test_a_child_writes_in_its_folder_only(sandbox: Sandbox, tmp_path: Path) -> None:
    assert tried(sandbox, "write", path=str(tmp_path / "x")) == "EACCES"
    assert tried(sandbox, "write", path=str(sandbox.folder / "x")) == "allowed"
    assert tried(sandbox, "link", path=str(sandbox.folder / "y")) == "EACCES"


@pytest.mark.parametrize(
    ("task", "arguments"),
    [
        ("empty", {}),
        ("empty_by_opening", {"mode": os.O_RDONLY}),
        ("empty_by_opening", {"mode": os.O_WRONLY}),
        ("empty_by_opening", {"mode": os.O_RDWR}),
        ("empty_by_opening", {"mode": os.O_ACCMODE}),
        ("empty_by_openat2", {}),
        ("change_mode", {}),
        ("change_mode_of_descriptor", {}),
        ("change_owner", {}),
        ("change_times", {}),
        ("change_attributes", {}),
    ],
)
def test_a_child_changes_no_file_that_is_there(
    sandbox: Sandbox, tmp_path: Path, task: str, arguments: dict[str, Any]
) -> None:
    path = tmp_path / "input"
    path.write_text("precious")
    before = path.stat()
    assert tried(sandbox, task, path=str(path), **arguments) in {"EPERM", "EACCES", "ENOSYS"}
    after = path.stat()
    assert path.read_text() == "precious"
    assert (after.st_mode, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_mode,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_child_overwrites_its_own_files(sandbox: Sandbox) -> None:
    path = sandbox.folder / "own"
    path.write_text("before")
    assert tried(sandbox, "write", path=str(path)) == "allowed"
    assert path.read_text() == "x"


def test_a_child_has_no_secrets_and_writes_no_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with Sandbox("tests.worker.sandbox.attacks", tmp_path) as sandbox:
        assert not [name for name in tried(sandbox, "tell_environment") if "AWS" in name]
        assert tried(sandbox, "tell_files") == ["/dev/null"] * 3


def test_errors_keep_their_words_and_get_a_field(sandbox: Sandbox) -> None:
    assert refusal(sandbox, "refuse") == "The file is a poem."
    with pytest.raises(StageError) as caught:
        tried(sandbox, "refuse", field="spec.other")
    assert caught.value.field == "spec.other"


def test_words_of_a_child_hold_no_control_characters(sandbox: Sandbox) -> None:
    assert refusal(sandbox, "refuse", words="a\x1b[31mred\nline") == "a [31mred line"


def test_an_unexpected_exception_is_a_damaged_file_and_its_place_is_logged(
    sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    assert "damaged" in refusal(sandbox, "fail", text="s3://a-secret-address")
    assert "attacks.py" in caplog.text and "ValueError" in caplog.text
    assert "secret-address" not in caplog.text


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("crash", "damaged"),
        ("abort", "damaged"),
        ("vanish", "damaged"),
        ("be_killed", "more memory to decode than the container has"),
        ("flood", "damaged"),
        ("echo", "damaged"),
    ],
)
def test_a_child_that_ends_otherwise_is_a_file_that_cannot_be_read(sandbox: Sandbox, task: str, words: str) -> None:
    assert words in refusal(sandbox, task)
    assert tried(sandbox, "start_thread") == "allowed"


def test_memory_is_limited_before_it_is_used(sandbox: Sandbox) -> None:
    limits = Limits(cpu_seconds=10, file_bytes=1, memory_bytes=64 << 20)
    assert tried(sandbox, "take_memory", limits, bytes=16 << 20) == 16 << 20
    assert "more than 67 MB of memory" in refusal(sandbox, "take_memory", limits, bytes=80 << 20)
    assert sandbox.ended is not None and sandbox.ended.peak_bytes < 100 << 20


def test_computing_time_is_limited(sandbox: Sandbox) -> None:
    assert "more than 1 s of computing time" in refusal(sandbox, "compute", Limits(cpu_seconds=1, file_bytes=1))
    assert sandbox.ended is not None and not sandbox.ended.late


def test_waiting_is_limited(sandbox: Sandbox) -> None:
    limits = Limits(cpu_seconds=5, file_bytes=1, wall_seconds=0.5)
    assert "computing time" in refusal(sandbox, "wait", limits)


def test_files_are_limited(sandbox: Sandbox) -> None:
    assert "larger" in refusal(sandbox, "grow", path=str(sandbox.folder / "big"))
    assert (sandbox.folder / "big").stat().st_size == LIMITS.file_bytes


def test_the_words_about_the_disk_are_left_to_who_knows_its_size(sandbox: Sandbox) -> None:
    with pytest.raises(OSError) as caught:
        tried(sandbox, "fill_disk")
    assert caught.value.errno == errno.ENOSPC


def test_a_server_that_was_lost_is_started_again(tmp_path: Path) -> None:
    with Sandbox("tests.worker.sandbox.attacks", tmp_path) as sandbox:
        assert sandbox.server is not None
        sandbox.server.kill()
        assert "memory" in refusal(sandbox, "start_thread")
        assert tried(sandbox, "start_thread") == "allowed"


def test_a_server_that_cannot_start_is_a_defect(tmp_path: Path) -> None:
    with Sandbox("tests.worker.sandbox.nothing", tmp_path) as sandbox, pytest.raises(StageError) as caught:
        tried(sandbox, "start_thread")
    assert caught.value.code is ErrorCode.INTERNAL


OLD_KERNEL = """
import platform, sys
from dataclasses import replace
from pathlib import Path
from talkingvideo_worker.sandbox import syscalls
from talkingvideo_worker.sandbox.client import Sandbox
from tests.worker.sandbox.test_sandbox import LIMITS, tried

architecture = syscalls.ARCHITECTURES[platform.machine()]
syscalls.install(replace(architecture, refused=(int(sys.argv[1]),), own_only=(), clone=0xFFFE, clone3=0xFFFF))
with Sandbox("tests.worker.sandbox.attacks", Path(sys.argv[2])) as sandbox:
    print([tried(sandbox, "start_thread") for _ in range(3)])
"""

PRCTL = {"x86_64": 157, "aarch64": 167}[platform.machine()]


@pytest.mark.parametrize(
    ("refused", "missing"), [(CREATE_RULESET, ["Landlock"]), (PRCTL, ["Landlock", "seccomp", "end with the server"])]
)
def test_a_kernel_that_refuses_to_confine_is_named_in_one_line(
    tmp_path: Path, refused: int, missing: list[str]
) -> None:
    command = [sys.executable, "-c", OLD_KERNEL, str(refused), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['allowed', 'allowed', 'allowed']"
    (line,) = done.stderr.strip().splitlines()
    assert "less protection" in line and all(name in line for name in missing)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, MEMORY_BYTES),
        ({"memory.max": "max"}, MEMORY_BYTES),
        ({"memory.max": str(4 << 30)}, MEMORY_BYTES),
        ({"memory.max": str(1 << 30)}, (1 << 30) - PARENT_BYTES),
        ({"memory/memory.limit_in_bytes": str(1 << 30)}, (1 << 30) - PARENT_BYTES),
        ({"memory/memory.limit_in_bytes": str((1 << 63) - 4096)}, MEMORY_BYTES),
        ({"memory.max": str(256 << 20)}, LEAST_BYTES),
    ],
)
def test_the_memory_of_a_child_fits_the_container(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert memory_limit(tmp_path) == expected
