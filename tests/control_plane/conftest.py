"""The operator beside a real API server, with the kubelet played by the test."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import Stage, install, running_operator


@pytest.fixture(scope="session")
def installed(cluster: Cluster, fake_kubelet: FakeKubelet) -> Iterator[Cluster]:
    """The cluster with CRD, RBAC, and a node with eight GPUs."""
    install(cluster)
    node = f"gpu-{uuid.uuid4().hex[:6]}"
    fake_kubelet.add_node(node, gpus=8)
    yield cluster
    fake_kubelet.remove_node(node)


@pytest.fixture
def stage(installed: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path) -> Iterator[Stage]:
    """A namespace with the operator at work."""
    with running_operator(installed, tmp_path, namespace) as operator:
        yield Stage(installed, fake_kubelet, namespace, operator)
