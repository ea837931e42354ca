"""Clusters for the tests.

``TALKINGVIDEO_TEST_KUBECONFIG`` names an existing cluster to use instead of one of our own, ``TALKINGVIDEO_TEST_KIND=1``
asks for kind (Docker), ``REAL_NODE=1`` (root) allows the tests that run containers. Where something is missing a test is
skipped with the reason; under ``CI=true`` it fails instead.
"""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

from tests.cluster.binaries import binary
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import running_control_plane
from tests.cluster.fake_kubelet import FakeKubelet
from tests.cluster.images import SMALL_IMAGES, BuiltImage, Image, built_image, torch_worker
from tests.cluster.node import RealNode, running_node
from tests.cluster.s3 import S3Server, running_s3_server
from tests.cluster.scratch import scratch_folder
from tests.cluster.unavailable import UnavailableError, skipped_when_unavailable

# A busy machine is no failure; what must be quick has a test that says how quick.
hypothesis.settings.register_profile("tests", hypothesis.settings(), deadline=None)
hypothesis.settings.load_profile("tests")

TESTS = Path(__file__).parent

MODEL_TESTS = (
    TESTS / "bench",
    TESTS / "worker" / "infinitetalk",
    TESTS / "worker" / "speech" / "test_kokoro.py",
    TESTS / "worker" / "stages" / "test_loras.py",
    TESTS / "worker" / "weights" / "test_fetch.py",
    TESTS / "worker" / "weights" / "test_update.py",
)
"""Folders and files of tests that import torch or its companions; most calculate with tiny networks."""

HARNESS_TESTS = TESTS / "cluster"
"""The test cluster, and what shows that it works."""

TIERS = {"cluster": "control_plane", "real_node": "real_node", "s3_server": "s3"}
"""The fixture that a test asks for decides its tier's mark."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Without torch, leave out what imports it when ``-m`` deselects that tier; otherwise its import says what is missing."""
    without_models = "not model" in config.option.markexpr and find_spec("torch") is None
    return True if without_models and _is_under(collection_path, MODEL_TESTS) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test with the tiers of what it needs."""
    for item in items:
        if _is_under(item.path, MODEL_TESTS):
            item.add_marker("model")
        if _is_under(item.path, (HARNESS_TESTS,)):
            item.add_marker("harness")
        for fixture, mark in TIERS.items():
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


def _is_under(path: Path, places: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(place) for place in places)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster whose API is real; on our own the nodes are objects only (``fake_kubelet``)."""
    if kubeconfig := os.environ.get("TALKINGVIDEO_TEST_KUBECONFIG"):
        yield Cluster(Path(kubeconfig), _kubectl())
    elif os.environ.get("TALKINGVIDEO_TEST_KIND") == "1":
        yield from _kind_cluster()
    else:
        with skipped_when_unavailable(), scratch_folder() as state, running_control_plane(state) as plane:
            yield plane.cluster


@pytest.fixture(scope="session")
def fake_kubelet(cluster: Cluster) -> Iterator[FakeKubelet]:
    """Plays the kubelet of nodes that the test adds; confirms the deletion of pods by itself."""
    kubelet = FakeKubelet(cluster)
    with kubelet.confirming_deletions():
        yield kubelet


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A fresh namespace that enforces the restricted pod security standard."""
    with _fresh_namespace(cluster) as name:
        yield name


@pytest.fixture(scope="session")
def real_node() -> Iterator[RealNode]:
    """A control plane of its own with one node that really runs pods. Root, and ``REAL_NODE=1``."""
    with skipped_when_unavailable():
        if os.environ.get("REAL_NODE") != "1":
            raise UnavailableError("real-node tests run with REAL_NODE=1, as root")
    with skipped_when_unavailable(), running_node() as node:
        yield node


@pytest.fixture
def real_namespace(real_node: RealNode) -> Iterator[str]:
    """A fresh namespace of the real node's cluster, with the restricted pod security standard."""
    with _fresh_namespace(real_node.cluster) as name:
        yield name


@pytest.fixture(scope="session")
def node_images(real_node: RealNode) -> dict[Image, BuiltImage]:
    """The project's small images, built from the Dockerfiles and known to the node under ``BuiltImage.name``."""
    with skipped_when_unavailable():
        built = {image: built_image(image) for image in SMALL_IMAGES}
    for image in built.values():
        real_node.import_image(image.archive)
    return built


@pytest.fixture(scope="session")
def torch_image(real_node: RealNode) -> BuiltImage:
    """A worker whose engine is the real one, known to the node: see ``torch_worker``."""
    with skipped_when_unavailable():
        built = built_image(torch_worker())
    real_node.import_image(built.archive)
    return built


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    """An S3 server that checks signatures, on this machine's loopback."""
    with skipped_when_unavailable(), scratch_folder() as state, running_s3_server(state) as server:
        yield server


@pytest.fixture(scope="session")
def node_s3_server(real_node: RealNode) -> Iterator[S3Server]:
    """An S3 server that pods on the real node can reach, as this machine can."""
    with scratch_folder() as state, running_s3_server(state, real_node.host_address) as server:
        yield server


@contextmanager
def _fresh_namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{uuid.uuid4().hex[:10]}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.create_namespace({"metadata": {"name": name, "labels": labels}})
    try:
        yield name
    finally:
        cluster.core.delete_namespace(name)


def _kubectl() -> Path:
    installed = shutil.which("kubectl")
    return Path(installed) if installed else binary("kubectl")


def _kind_cluster() -> Iterator[Cluster]:
    from pytest_kind import KindCluster

    kind = KindCluster("talkingvideo-tests")
    kind.create()
    try:
        yield Cluster(Path(kind.kubeconfig_path), _kubectl())
    finally:
        kind.delete()
