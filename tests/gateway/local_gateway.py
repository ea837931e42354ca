"""The command ``talkingvideo-gateway serve --local``, as a process that can be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx

STARTS_IN = 60.0
"""Seconds."""


class LocalGateway:
    """A gateway process.

    Args:
        folder: Its state, and its log.

    Attributes:
        url: Its address, the same after each start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [
            str(Path(sys.executable).parent / "talkingvideo-gateway"),
            "serve",
            "--local",
            str(self._folder / "state"),
        ]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--engine", "preview", "--port", str(self._port)],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + STARTS_IN
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < deadline, "the gateway has not started"
            time.sleep(0.1)

    def kill(self) -> None:
        """End it as the kernel does: without a word, and only itself."""
        if self._process is not None:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def interrupt(self) -> int:
        """End it as Ctrl-C does; its exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait()
        self._process = None
        return status

    @property
    def log(self) -> str:
        """What it has printed."""
        return (self._folder / "log").read_text()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/readyz").is_success
        except httpx.TransportError:
            return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
