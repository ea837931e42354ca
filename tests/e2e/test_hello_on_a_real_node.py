"""The main job on a real cluster: chart installed, images run, a store that checks signatures, the result fetched."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cluster.binaries import binary
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.images import BuiltImage, Image
from tests.cluster.node import RealNode
from tests.cluster.s3 import S3Server
from tests.e2e.result import assert_sound_is_the_input, assert_video_is_whole, frames_for
from tests.worker.preview.sync_score import sync_score

ROOT = Path(__file__).parents[2]
HELLO = ROOT / "examples" / "hello.yaml"


@pytest.fixture(scope="module")
def installed(
    real_node: RealNode, node_images: dict[Image, BuiltImage], node_s3_server: S3Server, tmp_path_factory: Any
) -> Iterator[str]:
    """The chart, installed with Helm as a user would; yields the bucket of its store."""
    bucket = node_s3_server.create_bucket("talkingvideo")
    values = {
        "image": _image(node_images[Image.OPERATOR]),
        "profiles": {
            "default": {
                "workerImage": node_images[Image.WORKER_PREVIEW].name,
                "stores": {"default": {"s3": {"endpoint": node_s3_server.endpoint, "bucket": bucket}}},
            }
        },
    }
    path = tmp_path_factory.mktemp("helm") / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    _helm(
        real_node,
        "install",
        "talkingvideo",
        str(ROOT / "charts/talkingvideo"),
        "--create-namespace",
        "--namespace",
        "talkingvideo-system",
        "--values",
        str(path),
        "--wait",
        "--timeout",
        "120s",
    )
    yield bucket
    print(real_node.cluster.kubectl("-n", "talkingvideo-system", "logs", "deployment/talkingvideo", "--tail=200"))
    _helm(real_node, "uninstall", "talkingvideo", "--namespace", "talkingvideo-system", "--wait")


@pytest.fixture
def hello(
    real_node: RealNode, real_namespace: str, node_s3_server: S3Server, installed: str, tmp_path: Path
) -> dict[str, Any]:
    """``kubectl apply -f examples/hello.yaml`` and ``kubectl wait``; returns the finished object."""
    keys = node_s3_server.owner
    cluster = real_node.cluster
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "talkingvideo-s3"},
            "stringData": {"AWS_ACCESS_KEY_ID": keys.access_key, "AWS_SECRET_ACCESS_KEY": keys.secret_key},
        },
        namespace=real_namespace,
    )
    cluster.kubectl("-n", real_namespace, "apply", "-f", str(HELLO))
    seen = tmp_path / "watch"
    with _watching(cluster, real_namespace, seen):
        try:
            cluster.kubectl(
                "-n", real_namespace, "wait", "--for=condition=Complete", "tv/hello", "--timeout=180s", timeout=200
            )
        except KubectlError:
            for what in (("tv,jobs,pods", "-o", "wide"), ("tv", "hello", "-o", "jsonpath={.status}"), ("events",)):
                print(cluster.kubectl("-n", real_namespace, "get", *what))
            raise
    print(seen.read_text())
    assert_in_order(seen.read_text(), "Preparing", "Rendering", "Stitching", "Succeeded")
    finished: dict[str, Any] = json.loads(cluster.kubectl("-n", real_namespace, "get", "tv", "hello", "-o", "json"))
    return finished


def test_hello_becomes_a_finished_video_in_s3(
    hello: dict[str, Any],
    node_s3_server: S3Server,
    installed: str,
    tmp_path: Path,
    real_node: RealNode,
    real_namespace: str,
) -> None:
    status, client = hello["status"], node_s3_server.client()
    output = status["output"]
    assert status["phase"] == "Succeeded"
    assert status["progress"] == 100
    video = tmp_path / "hello.mp4"
    client.download_file(installed, output["uri"].removeprefix(f"s3://{installed}/"), str(video))
    voice = ROOT / "examples" / "voice.ogg"
    assert_video_is_whole(video, frames_for(voice), output["width"], output["height"])
    assert_sound_is_the_input(video, voice)
    score = sync_score(video)
    assert score.r >= 0.6
    assert abs(score.best_lag) <= 1
    assert abs(score.null) < 0.2
    assert output["bytes"] == video.stat().st_size
    for uri in (output["thumbnailUri"], output["reportUri"]):
        client.head_object(Bucket=installed, Key=uri.removeprefix(f"s3://{installed}/"))
    _assert_no_secret_is_shown(real_node, real_namespace, node_s3_server)


@contextmanager
def _watching(cluster: Cluster, namespace: str, out: Path) -> Iterator[None]:
    """``kubectl get tv -w`` beside, as a user would have it in another terminal."""
    command = [str(cluster.kubectl_program), f"--kubeconfig={cluster.kubeconfig}", "-n", namespace, "get", "tv", "-w"]
    with out.open("w") as file, subprocess.Popen(command, stdout=file) as watch:
        try:
            yield
            time.sleep(1)
        finally:
            watch.terminate()


def assert_in_order(text: str, *words: str) -> None:
    """Every word occurs, each behind the one before."""
    places = [text.find(word) for word in words]
    assert -1 not in places, text
    assert places == sorted(places), text


def _assert_no_secret_is_shown(node: RealNode, namespace: str, server: S3Server) -> None:
    """Neither objects nor events nor logs repeat the store's secret."""
    cluster, secret = node.cluster, server.owner.secret_key
    shown = cluster.kubectl("-n", namespace, "get", "tv,jobs,pods,configmaps,events", "-o", "yaml")
    shown += cluster.kubectl("-n", "talkingvideo-system", "logs", "deployment/talkingvideo")
    for pod in cluster.core.list_namespaced_pod(namespace).items:
        shown += cluster.kubectl("-n", namespace, "logs", pod.metadata.name, "--all-containers")
    assert secret not in shown


def _helm(node: RealNode, *arguments: str) -> str:
    command = [str(binary("helm")), "--kubeconfig", str(node.cluster.kubeconfig), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _image(built: BuiltImage) -> dict[str, str]:
    repository, _, tag = built.name.rpartition(":")
    return {"repository": repository, "tag": tag}
