"""The ``runpod-sdk`` package from npm, as its users call it."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.serving import ServedGateway

from talkingvideo_gateway.dialects.runpod import routes

CLIENTS = Path(__file__).parents[2] / "clients"
INSTALL_SECONDS = 60
INPUT = {"input": {"image_url": "https://example.com/portrait.jpg", "wav_url": "https://example.com/audio.wav"}}

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the locked packages are installed."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Node.js and npm are not installed here")
    folder = tmp_path_factory.mktemp("clients")
    for name in ("package.json", "package-lock.json", "runpod.mjs"):
        shutil.copy(CLIENTS / name, folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"npm cannot install the packages here: {(error.stderr or b'').decode()[-300:]}")
    return folder


@pytest.fixture(scope="module")
def client(clients: Path) -> Iterator[subprocess.Popen[str]]:
    """The package in a process that makes calls."""
    with subprocess.Popen(
        ["node", "runpod.mjs"], cwd=clients, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


@pytest.fixture
def call(client: subprocess.Popen[str], gateway: ServedGateway) -> Call:
    """Calls a method of an endpoint."""

    def run(method: str, *arguments: Any) -> Any:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(f"{json.dumps([gateway.url, method, arguments])}\n")
        client.stdin.flush()
        answer = next((line for line in client.stdout if line.startswith("=")), None)
        assert answer is not None, "the client has ended"
        return json.loads(answer[1:])

    return run


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests are held for a moment only."""
    monkeypatch.setattr(routes, "STREAM_SECONDS", 0.5)
    monkeypatch.setattr(routes, "LEAST_WAIT_MS", 500)
    monkeypatch.setattr(routes, "MOST_WAIT_MS", 500)


def test_a_job_is_run_and_asked_for(call: Call, gateway: ServedGateway) -> None:
    job = call("run", INPUT)["id"]
    gateway.succeed(job)
    answer = call("status", job)

    assert (answer["started"], answer["completed"], answer["succeeded"]) == (True, True, True)
    assert answer["output"]["video_url"].startswith(gateway.url)


def test_run_sync_goes_on_with_status_sync(call: Call, gateway: ServedGateway) -> None:
    def finish() -> None:
        while not gateway.videos():
            time.sleep(0.1)
        time.sleep(0.7)
        gateway.succeed(gateway.videos()[0].name)

    threading.Thread(target=finish).start()
    answer = call("runSync", INPUT, 60_000)

    assert (answer["status"], answer["succeeded"]) == ("COMPLETED", True)
    assert answer["output"]["video_url"].startswith(gateway.url)


def test_status_sync_has_the_end(call: Call, gateway: ServedGateway) -> None:
    job = call("run", INPUT)["id"]
    gateway.fail(job, message="The picture has no face.")

    assert call("statusSync", job)["error"] == "The picture has no face."


def test_a_stream_ends_with_the_job(call: Call, gateway: ServedGateway) -> None:
    job = call("run", INPUT)["id"]
    gateway.render(job, 60)
    threading.Timer(1.0, lambda: gateway.succeed(job)).start()

    assert {piece["output"]["pct"] for piece in call("stream", job)} <= {60}


def test_a_cancelled_job_s_stream_ends(call: Call) -> None:
    job = call("run", INPUT)["id"]

    assert call("cancel", job) == {"id": job, "status": "CANCELLED"}
    assert call("stream", job) == []


def test_health_and_purging(call: Call) -> None:
    call("run", INPUT)

    assert call("health")["jobs"]["inQueue"] == 1
    assert call("purgeQueue") == {"removed": 1, "status": "completed"}
