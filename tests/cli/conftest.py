"""The command, run in this process against an API server of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.cli.api_server import ApiServer
from typer.main import get_command

from talkingvideo_cli.cli import app


@dataclass(frozen=True)
class Done:
    """What a command has printed, and how it has ended."""

    exit_code: int
    stdout: str
    stderr: str


Run = Callable[..., Done]

COMMAND = get_command(app)
"""Made once: it takes typer a tenth of a second."""


@pytest.fixture
def server() -> Iterator[ApiServer]:
    server = ApiServer()
    with server.running():
        yield server


@pytest.fixture
def run(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as a person does whose kubeconfig names the server."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(server.kubeconfig())
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    monkeypatch.delenv("TALKINGVIDEO_STORE", raising=False)

    def run(*arguments: object) -> Done:
        with pytest.raises(SystemExit) as ended:
            COMMAND.main([str(each) for each in arguments], prog_name="kubectl talkingvideo")
        assert ended.value.code is None or isinstance(ended.value.code, int)
        return Done(ended.value.code or 0, *capsys.readouterr())

    return run


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    file = tmp_path / "My Face (1).PNG"
    file.write_bytes(b"a picture")
    return file


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    file = tmp_path / "hello.wav"
    file.write_bytes(b"a sound")
    return file
