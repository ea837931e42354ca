"""The operator at work with the chart's configuration and exactly the chart's rights, none of which is one too many."""

from __future__ import annotations

import json
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
from tests.chart.conftest import rights
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import OperatorProcess, Sandbox, video, wait_until
from tests.incompressible import incompressible
from tests.operator.builders.manifests import context

from talkingvideo_api import names
from talkingvideo_api.names import Stage
from talkingvideo_operator.builders.jobs import build_job
from talkingvideo_operator.planning.decision import CreateJob

PROFILE = {
    "gpu": {},
    "stores": {"default": {"s3": {"bucket": "media"}}},
    "allow": {"inputBuckets": ["media/inputs/"]},
}


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
            if each["kind"].startswith(("ClusterRole", "ValidatingAdmissionPolicy")):
                cluster.kubectl("delete", each["kind"], each["metadata"]["name"])


def asked(cluster: Cluster, namespace: str) -> set[tuple[str, str, str]]:
    """What the operator has asked the API server for, each as group, resource and verb, as ``rights`` has them."""
    if cluster.audit_log is None:
        pytest.skip("the cluster is not our own: its audit log is not at hand")
    found = set()
    for line in cluster.audit_log.read_text().splitlines():
        event = json.loads(line)
        if event["user"]["username"] == f"system:serviceaccount:{namespace}:talkingvideo" and "objectRef" in event:
            target = event["objectRef"]
            resource = "/".join(filter(None, (target["resource"], target.get("subresource"))))
            found.add((target.get("apiGroup", ""), resource, event["verb"]))
    return found


def take_the_name_of_stitch(sandbox: Sandbox) -> None:
    """Somebody else's Job has the name that the operator is going to use."""
    labels = sandbox.pod("prepare").metadata.labels
    name = names.job_name("hello", labels[names.LABEL_UID], labels[names.LABEL_REVISION], Stage.STITCH, 0)
    job = build_job(context(), CreateJob(Stage.STITCH, 0))
    # Without labels of its own it would get those of its pods, and be an orphan, which the operator deletes.
    job["metadata"] = {"name": name, "labels": {"app": "another"}}
    job["spec"]["suspend"] = True
    sandbox.cluster.batch.create_namespaced_job(sandbox.namespace, job)


@pytest.mark.parametrize("everywhere", [True, False], ids=["all-namespaces", "one-namespace"])
def test_a_video_is_suspended_revised_and_rendered_nothing_is_forbidden_and_each_right_is_used(
    render: Any, cluster: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path, everywhere: bool
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    values = {
        "namespaces": [] if everywhere else [namespace],
        "admissionPolicy": {"enabled": True},
        "config": {"probePort": port, "lease": {"durationSeconds": 2}, "progressSeconds": 0.5},
        "profiles": {"default": PROFILE},
    }
    documents = render(values, namespace)
    with node_of(fake_kubelet), operator_of(documents, cluster, namespace, tmp_path) as log:
        operator = OperatorProcess(tmp_path / "kubeconfig", tmp_path, namespace)
        sandbox = Sandbox(cluster, fake_kubelet, namespace, operator, chunks=2)
        sandbox.apply(video(prompt=incompressible(4_000, 1), negativePrompt=incompressible(4_000, 2)))
        sandbox.finish("prepare")
        fake_kubelet.run_pod(sandbox.pod("render", 0))
        wait_until(lambda: ("", "pods/log", "get") in asked(cluster, namespace), "the operator reads progress")
        sandbox.patch({"spec": {"suspend": True}})
        sandbox.wait_phase("Suspended")
        sandbox.patch({"spec": {"suspend": False, "dryRun": True}})
        sandbox.finish("prepare")
        sandbox.wait_phase("Succeeded")
        sandbox.patch({"spec": {"dryRun": False}})
        take_the_name_of_stitch(sandbox)
        sandbox.finish("prepare")
        sandbox.finish("render", 0)
        sandbox.finish("render", 1)
        wait_until(lambda: ("batch", "jobs", "get") in asked(cluster, namespace), "the operator looks whose Job it is")
        assert "orbidden" not in log.read_text()
    granted = rights(*(each for each in documents if each["kind"] in ("ClusterRole", "Role")))
    assert {(group, resource.removesuffix("/talkingvideo"), verb) for group, resource, verb in granted} == asked(
        cluster, namespace
    )
