"""A gateway of this machine that really makes videos, killed in the middle."""

from __future__ import annotations

import io
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
import pytest

pytestmark = pytest.mark.media

PORTRAIT = Path(__file__).parents[2] / "examples" / "portrait.jpg"
RATE = 16_000
PATIENCE = 120
"""Seconds until a test gives up; a busy machine needs some."""


@contextmanager
def served(folder: Path, port: int, *options: str) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    """The command, until the context ends."""
    command = Path(sys.executable).parent / "talkingvideo-gateway"
    arguments = ["serve", "--local", str(folder), "--port", str(port), "--engine", "preview", *options]
    process = subprocess.Popen([str(command), *arguments])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            until(lambda: answers(client))
            yield client, process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/healthz").status_code == 200
    except httpx.ConnectError:
        return False


def until(reached: Any) -> None:
    give_up = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def sound(seconds: float) -> bytes:
    """Syllables of a vowel, three a second."""
    samples = (
        int(12_000 * max(0.0, math.sin(6 * math.pi * index / RATE)) * math.sin(2 * math.pi * 180 * index / RATE))
        for index in range(int(seconds * RATE))
    )
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return content.getvalue()


def created(client: httpx.Client, seconds: float) -> str:
    files = {
        "input_reference": ("a.jpg", PORTRAIT.read_bytes(), "image/jpeg"),
        "audio": ("a.wav", sound(seconds), "audio/wav"),
    }
    answer = client.post("/v1/videos", files=files)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


def video(client: httpx.Client, video_id: str) -> Any:
    found = client.get(f"/v1/videos/{video_id}").json()
    assert found["status"] != "failed", found
    return found


def windows(folder: Path) -> dict[Path, int]:
    """Finished windows with the time at which each was written."""
    return {path: path.stat().st_mtime_ns for path in (folder / "workspace").rglob("segment-*.mp4") if path.is_file()}


def test_a_killed_gateway_goes_on_from_the_last_window(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with served(tmp_path, port, "--at-once", "2") as (client, process):
        first, second = created(client, 14), created(client, 12)
        until(lambda: all(video(client, each)["status"] == "in_progress" for each in (first, second)))
        until(lambda: len(windows(tmp_path)) >= 2)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
        before = windows(tmp_path)

    with served(tmp_path, port) as (client, _):
        until(lambda: all(video(client, each)["status"] == "completed" for each in (first, second)))
        after = windows(tmp_path)
        content = client.get(f"/v1/videos/{first}/content").content
        remixed = client.post(f"/v1/videos/{first}/remix", json={"talkingvideo": {"output": {"loudness": -20}}}).json()
        until(lambda: video(client, remixed["id"])["status"] == "completed")
        details = video(client, remixed["id"])["talkingvideo"]

    assert {path: after[path] for path in before} == before
    assert len(after) > len(before)
    assert details["chunks_reused"] == len(details["chunks"])
    with av.open(io.BytesIO(content), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 14 * 25
    assert frames[0].std() > 10
