"""What happens to a video whose pods and whose operator are killed while it is made."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from tests.cluster.waiting import wait_until
from tests.e2e.installation import SYSTEM, Installation
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole
from tests.worker.stages.conftest import write_voice

EXAMPLES = Path(__file__).parents[2] / "examples"
SECONDS = 34


@pytest.mark.timeout(900)
def test_a_video_survives_its_render_pods_and_the_operator(
    installed: Installation, namespace_with_store: str, tmp_path: Path
) -> None:
    """Inputs come from the store; one render pod and the operator's pod are killed; the video is whole."""
    namespace, cluster = namespace_with_store, installed.cluster
    voice = write_voice(tmp_path / "voice.wav", seconds=SECONDS)
    client = installed.server.client()
    client.upload_file(str(EXAMPLES / "portrait.jpg"), installed.bucket, f"{namespace}-inputs/face.jpg")
    client.upload_file(str(voice), installed.bucket, f"{namespace}-inputs/voice.wav")
    inputs = f"s3://{installed.bucket}/{namespace}-inputs"
    cluster.apply(
        {
            "apiVersion": "talkingvideo.dev/v1alpha1",
            "kind": "TalkingVideo",
            "metadata": {"name": "survivor"},
            "spec": {
                "source": {"image": {"uri": f"{inputs}/face.jpg"}},
                "speech": {"speakers": [{"audio": {"uri": f"{inputs}/voice.wav"}}]},
                "chunking": {"targetSeconds": 10, "maxParallel": 2},
            },
        },
        namespace=namespace,
    )
    killed = _kill_a_running_render_pod(installed, namespace)
    cluster.kubectl("-n", SYSTEM, "delete", "pod", "--all", "--force", "--grace-period=0")
    status = installed.wait_until_complete(namespace, "survivor", seconds=300)["status"]
    jobs = json.loads(cluster.kubectl("-n", namespace, "get", "jobs", "-o", "json"))["items"]
    render = [
        job["metadata"]["name"] for job in jobs if job["metadata"]["labels"]["talkingvideo.dev/stage"] == "render"
    ]
    assert len(render) == status["chunks"]["total"] + 1, (
        f"{killed} was killed: one attempt more, and no other; {render}"
    )
    video = installed.download(status["output"]["uri"], tmp_path / "survivor.mp4")
    assert_video_is_whole(video, SECONDS * 25, status["output"]["width"], status["output"]["height"])
    assert_sound_is_the_input(video, voice)


def _kill_a_running_render_pod(installed: Installation, namespace: str) -> str:
    core = installed.cluster.core

    def running() -> list[str]:
        pods = core.list_namespaced_pod(namespace, label_selector="talkingvideo.dev/stage=render").items
        return [pod.metadata.name for pod in pods if pod.status.phase == "Running"]

    name = wait_until("running render pod", running, timeout=120)[0]
    time.sleep(1)
    installed.cluster.kubectl("-n", namespace, "delete", "pod", name, "--force", "--grace-period=0")
    return name
