"""The product on a real node, once for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.cluster.images import BuiltImage, Image
from tests.cluster.node import RealNode
from tests.cluster.s3 import S3Server
from tests.e2e.installation import Installation, installation


@pytest.fixture(scope="session")
def installed(
    real_node: RealNode,
    node_images: dict[Image, BuiltImage],
    node_s3_server: S3Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """The chart, installed with Helm."""
    with installation(real_node, node_images, node_s3_server, tmp_path_factory.mktemp("helm")) as made:
        yield made


@pytest.fixture
def namespace_with_store(installed: Installation, real_namespace: str) -> str:
    """A fresh restricted namespace that holds the store's Secret."""
    installed.give_credentials(real_namespace)
    return real_namespace
