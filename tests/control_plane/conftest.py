"""The operator with a real API server, while the test plays the kubelet."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.fake_kubelet import FakeKubelet
from tests.control_plane.operator_process import Sandbox, install, running_operator


@pytest.fixture(scope="session")
def installed(cluster: Cluster, fake_kubelet: FakeKubelet) -> Iterator[Cluster]:
    """The cluster with CRD, RBAC, and a node with eight GPUs."""
    install(cluster)
    node = f"gpu-{uuid.uuid4().hex[:6]}"
    fake_kubelet.add_node(node, gpus=8)
    yield cluster
    fake_kubelet.remove_node(node)


@pytest.fixture
def sandbox(installed: Cluster, fake_kubelet: FakeKubelet, namespace: str, tmp_path: Path) -> Iterator[Sandbox]:
    """A namespace that the operator serves."""
    with running_operator(installed, tmp_path, namespace) as operator:
        yield Sandbox(installed, fake_kubelet, namespace, operator)
