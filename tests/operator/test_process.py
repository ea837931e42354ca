"""The operator as a process of the image's user."""

import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

USER = 65_532

AS_USER = """
import os, sys
from talkingvideo_operator.cli import main
os.setgroups([])
os.setgid({user})
os.setuid({user})
main()
"""

KUBECONFIG = {
    "apiVersion": "v1",
    "kind": "Config",
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:9"}}],
    "users": [{"name": "none", "user": {}}],
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "current-context": "none",
}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user can read; pytest's own are private."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change to the image's user")
def test_the_operator_runs_as_a_user_without_a_name_and_a_home(folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    profile = {"workerImage": "worker:1", "stores": {"default": {"s3": {"bucket": "media"}}}}
    (folder / "config.yaml").write_text(yaml.safe_dump({"profiles": {"default": profile}, "probePort": port}))
    (folder / "kubeconfig").write_text(yaml.safe_dump(KUBECONFIG))
    command = [sys.executable, "-c", AS_USER.format(user=USER), "run", "--config", str(folder / "config.yaml")]
    environment = {"PATH": os.environ["PATH"], "KUBECONFIG": str(folder / "kubeconfig"), "POD_NAMESPACE": "system"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        assert probe_answers(port, process), (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def probe_answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.1)
    return False
