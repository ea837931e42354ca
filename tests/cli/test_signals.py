"""What a signal leaves behind: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.api_server import ApiServer


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_plan_is_deleted(server: ApiServer, tmp_path: Path, signum: signal.Signals, status: int) -> None:
    (tmp_path / "kubeconfig").write_text(server.kubeconfig())
    server.add("hello")
    command = [sys.executable, "-m", "talkingvideo_cli", "plan", "hello"]
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig")}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    shown = process.stderr.readline()
    assert shown == "hello-plan-x7k2p 0% Pending\n"
    process.send_signal(signum)
    _, rest = process.communicate(timeout=60)
    assert (process.returncode, rest) == (status, "")
    assert [*server.videos] == ["hello"]
