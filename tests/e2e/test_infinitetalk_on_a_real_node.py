"""The real engine in real pods: the image with torch, a volume of (tiny, random) weights, no GPU."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import pytest
import yaml
from tests.cluster.images import BuiltImage, Image, torch_worker
from tests.e2e.installation import Installation
from tests.worker.infinitetalk.small_values import SMALLEST_RENDER

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tiny weights that every user may read, as on a volume."""
    folder = empty_volume(tmp_path_factory)
    command = [sys.executable, "-m", "tests.worker.infinitetalk.tiny_weights", str(folder)]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    for path in folder.rglob("*"):
        if "packages" not in path.parts:
            path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def empty_volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without weights, which every user may read; with torch in it, where the image has none."""
    folder = tmp_path_factory.mktemp("volume")
    folder.chmod(0o755)
    if torch_worker() is Image.WORKER_ON_VOLUME:
        install_packages(folder / "packages")
    return folder


def install_packages(folder: Path) -> None:
    """The locked packages of the engine, for the image's Python, out of uv's cache (links, where it is one disk)."""
    uv = str(REPOSITORY / "scripts" / "uv")
    chosen = ("--package", "talkingvideo-worker", "--extra", "infinitetalk", "--no-dev", "--no-emit-workspace")
    listed = subprocess.run(
        [uv, "export", "--frozen", "--no-hashes", "--quiet", *chosen],
        check=True,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    ).stdout
    target = ("--target", str(folder), "--python-version", "3.11", "--no-deps", "--link-mode", "hardlink")
    subprocess.run([uv, "pip", "install", "--quiet", *target, "-r", "-"], check=True, input=listed, text=True)


def apply_video(installed: Installation, namespace: str, **spec: Any) -> None:
    """The media of ``examples/hello.yaml``, and a video of them by the real engine."""
    _, media = yaml.safe_load_all((REPOSITORY / "examples" / "hello.yaml").read_text())
    hello = "configmap://hello-media"
    video = {
        "apiVersion": "talkingvideo.dev/v1alpha1",
        "kind": "TalkingVideo",
        "metadata": {"name": "tiny"},
        "spec": {
            "profile": "infinitetalk",
            "source": {"image": {"uri": f"{hello}/portrait.jpg"}},
            "speech": {"speakers": [{"audio": {"uri": f"{hello}/voice.ogg"}}]},
            "video": {"maxFrames": 7},
            "render": SMALLEST_RENDER,
            **spec,
        },
    }
    installed.cluster.apply(media, video, namespace=namespace)


@pytest.mark.timeout(1800)
def test_a_video_is_rendered_by_the_real_engine(
    installed: Installation, namespace_with_store: str, torch_image: BuiltImage, weights: Path, tmp_path: Path
) -> None:
    installed.give_weights(namespace_with_store, weights)
    apply_video(installed, namespace_with_store)
    status = installed.wait_until_complete(namespace_with_store, "tiny", seconds=600)["status"]
    assert status["effective"]["engine"] == "infinitetalk"
    with av.open(str(installed.download(status["output"]["uri"], tmp_path / "tiny.mp4"))) as video:
        assert sum(1 for _ in video.decode(video=0)) == 7
    report = json.loads(installed.download(status["output"]["reportUri"], tmp_path / "tiny.json").read_text())
    (chunk,) = report["chunks"]
    assert chunk["rendering"]["memoryMode"]
    progress = render_log(installed, namespace_with_store)
    assert any("step 1 of 1" in line["message"] for line in progress)
    assert [line["fraction"] for line in progress] == sorted(line["fraction"] for line in progress)


@pytest.mark.timeout(1800)
def test_missing_weights_fail_at_once_with_their_list(
    installed: Installation,
    namespace_with_store: str,
    torch_image: BuiltImage,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    installed.give_weights(namespace_with_store, empty_volume(tmp_path_factory))
    apply_video(installed, namespace_with_store)
    kubectl = installed.cluster.kubectl
    kubectl("-n", namespace_with_store, "wait", "--for=condition=Failed", "tv/tiny", "--timeout=300s", timeout=320)
    found = json.loads(kubectl("-n", namespace_with_store, "get", "tv", "tiny", "-o", "json"))
    failure = found["status"]["failure"]
    assert failure["code"] == "E_PIPELINE_LOAD"
    assert "InfiniteTalk/single/infinitetalk.safetensors is missing" in failure["message"]
    jobs = json.loads(kubectl("-n", namespace_with_store, "get", "jobs", "-o", "json"))["items"]
    assert [job["metadata"]["labels"]["talkingvideo.dev/stage"] for job in jobs] == ["prepare"]


def render_log(installed: Installation, namespace: str) -> list[dict[str, Any]]:
    """The progress lines of the render pod."""
    log = installed.cluster.kubectl("-n", namespace, "logs", "-l", "talkingvideo.dev/stage=render", "--tail=-1")
    return [json.loads(line)["progress"] for line in log.splitlines() if line.startswith('{"progress"')]
