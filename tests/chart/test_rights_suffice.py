"""The operator at work with the chart's configuration and exactly the chart's rights."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import OperatorProcess, Sandbox, video, wait_until

PROFILE = {"gpu": {}, "stores": {"default": {"s3": {"bucket": "media"}}}}


@contextmanager
def node_of(kubelet: FakeKubelet) -> Iterator[None]:
    name = f"chart-{uuid.uuid4().hex[:6]}"
    kubelet.add_node(name, gpus=8)
    try:
        yield
    finally:
        kubelet.remove_node(name)


@contextmanager
def operator_of(documents: list[dict[str, Any]], cluster: Cluster, namespace: str, folder: Path) -> Iterator[Path]:
    """Install all but the Deployment, whose pod cannot run here, and start its process; yields its log."""
    installed = [each for each in documents if each["kind"] != "Deployment"]
    cluster.apply(*installed)
    held = next(each for each in documents if each["kind"] == "ConfigMap")
    config, log = folder / "config.yaml", folder / "operator.log"
    config.write_text(held["data"]["config.yaml"])
    kubeconfig = cluster.kubeconfig_for(namespace, "talkingvideo", folder / "kubeconfig")
    environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "POD_NAMESPACE": namespace}
    command = [sys.executable, "-m", "talkingvideo_operator", "run", "--config", str(config), "--log-level", "debug"]
    with log.open("wb") as written:
        process = subprocess.Popen(command, env=environment, stdout=written, stderr=written)
    try:
        wait_until(lambda: "listed all objects" in log.read_text(), "the operator acts")
        yield log
    finally:
        process.terminate()
        process.wait(30)
        for each in installed:
            if each["kind"] in ("ClusterRole", "ClusterRoleBinding"):
                cluster.kubectl("delete", each["kind"], each["metadata"]["name"])


@pytest.mark.parametrize("everywhere", [True, False], ids=["all-namespaces", "one-namespace"])
def test_a_video_is_suspended_revised_and_finished_and_nothing_is_forbidden(
    render: Any, cluster: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path, everywhere: bool
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {
        "namespaces": [] if everywhere else [namespace],
        "config": {"probePort": port, "lease": {"durationSeconds": 2}, "progressSeconds": 0.5},
        "profiles": {"default": PROFILE},
    }
    documents = render(values, namespace)
    with node_of(fake_kubelet), operator_of(documents, cluster, namespace, tmp_path) as log:
        operator = OperatorProcess(tmp_path / "kubeconfig", tmp_path, namespace)
        sandbox = Sandbox(cluster, fake_kubelet, namespace, operator, chunks=2)
        sandbox.apply(video())
        sandbox.finish("prepare")
        sandbox.pod("render", 0)
        sandbox.patch({"spec": {"suspend": True}})
        sandbox.wait_phase("Suspended")
        sandbox.patch({"spec": {"suspend": False, "dryRun": True}})
        sandbox.finish("prepare")
        sandbox.wait_phase("Succeeded")
        assert "orbidden" not in log.read_text()
