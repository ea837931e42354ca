"""The lines of the gateway's page, as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.dialects.videos.errors import problem
from talkingvideo_gateway.errors import Fault, InvalidRequestError

ROOT = Path(__file__).parents[2]
NATIVE = (ROOT / "docs" / "gateway.md").read_text().partition("## The native API")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```sh\n(.*?)```", NATIVE, re.DOTALL)

pytestmark = pytest.mark.skipif(not (shutil.which("curl") and shutil.which("jq")), reason="needs curl and jq")


@pytest.fixture
def gateway(tmp_path: Path) -> Any:
    with served_gateway(tmp_path / "gateway") as served:
        yield served


def run(block: str, folder: Path, gateway: ServedGateway, **variables: str) -> list[Any]:
    """Run the lines in a folder with the files that they name; their answers."""
    for name in ("portrait.jpg", "voice.ogg"):
        shutil.copy(ROOT / "examples" / name, folder)
    done = subprocess.run(
        ["bash", "-euc", block],
        cwd=folder,
        env={**os.environ, "GATEWAY": gateway.url, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    decoder, answers, text = json.JSONDecoder(), [], done.stdout.strip()
    while text:
        answer, end = decoder.raw_decode(text)
        answers.append(answer)
        text = text[end:].strip()
    return answers


def test_videos_are_made(tmp_path: Path, gateway: ServedGateway) -> None:
    answers = run(BLOCKS[0], tmp_path, gateway)

    assert [answer.get("status") for answer in answers] == ["queued"] * 3, answers
    assert [answer["talkingvideo"]["warnings"] for answer in answers] == [[]] * 3


def test_videos_are_looked_at_and_changed(tmp_path: Path, gateway: ServedGateway) -> None:
    (video, *_) = run(BLOCKS[0], tmp_path, gateway)
    listed, one, remixed, cancelled, retried, planned = run(BLOCKS[1], tmp_path, gateway, VIDEO=video["id"])

    assert len(listed["data"]) == 3
    assert one["id"] == video["id"]
    assert remixed["prompt"] == "A person laughing"
    assert cancelled["error"]["code"] == "cancelled"
    assert [retried["status"], planned["status"]] == ["queued", "queued"]


def test_a_large_file_is_uploaded(tmp_path: Path, gateway: ServedGateway) -> None:
    part, video = run(BLOCKS[2], tmp_path, gateway)

    assert part["bytes"] == (ROOT / "examples" / "voice.ogg").stat().st_size
    assert video["status"] == "queued", video


def test_the_error_is_one() -> None:
    printed = json.loads(re.findall(r"```json\n(.*?)```", NATIVE, re.DOTALL)[0])
    path, message = "spec.render.steps", "Input should be less than or equal to 100"

    assert problem(InvalidRequestError(message, field=path, faults=(Fault(path, message),))) == printed
