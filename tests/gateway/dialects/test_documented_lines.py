"""The older services' documented command lines, with the gateway's address in place of theirs."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.gateway.serving import VIDEO, ServedGateway

WORKFLOW = Path(__file__).parents[3] / "examples/n8n/talking-video.json"

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def shell(line: str, folder: Path) -> str:
    answer = subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, text=True, timeout=30, check=True)
    return answer.stdout


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "test_image.jpg").write_bytes(b"a picture")
    (tmp_path / "test_audio.wav").write_bytes(b"a recording")
    return tmp_path


@needs_curl
def test_jobs(gateway: ServedGateway, folder: Path) -> None:
    content = base64.b64encode(b"a file").decode()
    body = {"image_base64": content, "audio_base64": content, "width": 384, "height": 576}
    (folder / "body.json").write_text(json.dumps(body | {"push_to_s3": False, "dry_run": False}))
    health = shell(f"curl -sf {gateway.url}/health", folder)
    job = json.loads(
        shell(f'curl -sf -X POST {gateway.url}/jobs -H "Content-Type: application/json" -d "$(cat body.json)"', folder)
    )
    gateway.succeed(job["id"])
    done = json.loads(shell(f"curl -sf {gateway.url}/jobs/{job['id']}", folder))

    assert json.loads(health) == {"status": "ok"}
    assert done == {"id": job["id"], "status": "COMPLETED", "progress": 100, "video_base64": done["video_base64"]}
    assert base64.b64decode(done["video_base64"]) == VIDEO


@needs_curl
def test_generate(gateway: ServedGateway, folder: Path) -> None:
    line = f'curl -sf -X POST "{gateway.url}/api/generate" -F "image=@test_image.jpg" -F "audio=@test_audio.wav"'
    request_id = json.loads(shell(line, folder))["request_id"]
    queue = json.loads(shell(f'curl -sf "{gateway.url}/api/queue"', folder))
    gateway.succeed(request_id)
    shell(f'curl -sf "{gateway.url}/api/result/{request_id}" -o video.mp4', folder)

    assert queue["queue_size"] == 1
    assert (folder / "video.mp4").read_bytes() == VIDEO


class TestWorkflow:
    """The n8n workflow of the examples."""

    @pytest.fixture
    def nodes(self) -> dict[str, dict[str, Any]]:
        return {node["name"]: node for node in json.loads(WORKFLOW.read_text())["nodes"]}

    def test_connections_name_nodes(self, nodes: dict[str, Any]) -> None:
        connections = json.loads(WORKFLOW.read_text())["connections"]
        targets = {each["node"] for node in connections.values() for group in node["main"] for each in group}

        assert connections.keys() | targets == nodes.keys()

    def test_expressions_name_nodes_that_exist(self, nodes: dict[str, Any]) -> None:
        assert set(re.findall(r"\$\('([^']+)'\)", WORKFLOW.read_text())) <= nodes.keys()

    def test_the_node_waits_longer_than_the_gateway_is_silent(self, nodes: dict[str, Any]) -> None:
        from talkingvideo_gateway.dialects.generate_video import SILENT_SECONDS

        assert nodes["Make the video"]["parameters"]["options"]["timeout"] > SILENT_SECONDS * 1_000

    def test_its_body_is_what_the_gateway_reads(self, nodes: dict[str, Any]) -> None:
        from talkingvideo_gateway.dialects.generate_video import GenerateVideo

        sent = re.findall(r"(\w+): ", nodes["Make the video"]["parameters"]["jsonBody"])

        assert {"audio_path", "image_path"} <= set(sent) <= GenerateVideo.model_fields.keys()
