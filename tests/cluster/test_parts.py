"""The parts of the test cluster that show their worth only when something goes wrong."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import binaries as go
from tests.cluster.caches import placed_atomically
from tests.cluster.docker_archive import added_files, pack, settings
from tests.cluster.images import REPOSITORY
from tests.cluster.processes import Processes, flags
from tests.cluster.scratch import scratch_folder
from tests.cluster.unavailable import UnavailableError, skipped_when_unavailable
from tests.cluster.waiting import wait_until


def exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def run_until_it_prints(script: str) -> tuple["subprocess.Popen[str]", str]:
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    assert running.stdout is not None
    return running, running.stdout.readline().strip()


class TestProcesses:
    def test_end_with_a_test_run_that_is_killed(self, tmp_path: Path) -> None:
        script = f"""
import pathlib, time
from tests.cluster.processes import Processes
processes = Processes(pathlib.Path({str(tmp_path)!r}))
processes.start("sleeper", ["sleep", "60"])
print(processes.running["sleeper"].pid, flush=True)
time.sleep(60)
"""
        run, pid = run_until_it_prints(script)
        assert exists(int(pid))
        run.kill()
        run.wait()
        wait_until("end of the sleeper", lambda: not exists(int(pid)), 5)

    def test_that_end_early_are_reported_with_their_logs(self, tmp_path: Path) -> None:
        processes = Processes(tmp_path)
        processes.start("broken", ["sh", "-c", "echo the reason >&2; exit 3"])
        with pytest.raises(RuntimeError, match=r"broken \(3\) ended[\s\S]*the reason"):
            processes.wait_until("miracle", lambda: False, 10)

    def test_that_ignore_their_end_are_killed(self, tmp_path: Path) -> None:
        processes = Processes(tmp_path)
        processes.start("deaf", ["sh", "-c", "trap '' TERM; echo listening; while :; do sleep 0.05; done"])
        processes.wait_until("trap", lambda: "listening" in (tmp_path / "deaf.log").read_text())
        pid = processes.running["deaf"].pid
        processes.stop("deaf", patience=0.3)
        assert not exists(pid)


def test_flags_are_written_as_command_lines_take_them() -> None:
    assert flags(data_dir=Path("/x"), leader_elect=False, port=1) == [
        "--data-dir=/x",
        "--leader-elect=false",
        "--port=1",
    ]


def test_the_folder_of_a_killed_run_goes_with_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    script = """
import time
from tests.cluster.scratch import scratch_folder
with scratch_folder() as folder:
    print(folder, flush=True)
    time.sleep(60)
"""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run, abandoned = run_until_it_prints(script)
    with scratch_folder():
        assert Path(abandoned).is_dir(), "the folder of a run that lives was removed"
    run.send_signal(signal.SIGKILL)
    run.wait()
    with scratch_folder() as own:
        assert own.is_dir()
        assert not Path(abandoned).exists()
    assert not own.exists()


def test_a_failed_build_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), placed_atomically(tmp_path / "program") as unfinished:
        unfinished.write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_every_program_is_pinned_by_a_lock_file() -> None:
    versions = {name: go.version(program) for name, program in go.PROGRAMS.items()}
    assert len({versions[name] for name in (*go.CONTROL_PLANE, *go.NODE) if name.startswith("kube")}) == 1
    assert all(version.startswith("v") for version in versions.values())


def test_go_comes_from_its_package_where_it_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packaged = tmp_path / "go"
    packaged.write_text("#!/bin/sh\n")
    packaged.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(go, "_packaged_go", lambda: str(packaged))
    assert go._go("helm") == str(packaged)


def test_missing_go_is_named_when_there_is_no_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UnavailableError, match="Go is missing"):
        go.binary("helm")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_what_is_missing_skips_a_test_but_fails_it_in_ci(
    ci: str, outcome: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no compiler"), skipped_when_unavailable():
        raise UnavailableError("no compiler")


def test_a_packed_folder_is_measured_as_it_was(tmp_path: Path) -> None:
    root, archive, other = tmp_path / "root", tmp_path / "image.tar", tmp_path / "base.tar"
    (root / "app").mkdir(parents=True)
    pack(root, "localhost/base:1", ["/none"], platform.machine(), other)
    (root / "app" / "data").write_bytes(b"x" * 1000)
    (root / "app" / "link").symlink_to("data")
    pack(root, "localhost/test:1", ["/app/data"], platform.machine(), archive)

    assert [(file.path, file.size) for file in added_files(archive, other)] == [("app/data", 1000)]
    assert added_files(archive, archive) == []
    assert settings(archive)["Cmd"] == ["/app/data"]


def test_waiting_says_what_was_last_seen() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError, match=f"no end within 0 s, last seen: {os.EX_OK}"):
        wait_until("end", lambda: os.EX_OK, 0.2)
    assert time.monotonic() - started < 2
