from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.settings import GatewayConfig


@pytest.fixture
def config() -> GatewayConfig:
    """The configuration of the gateway."""
    return GatewayConfig()


@pytest.fixture
def gateway(tmp_path: Path, config: GatewayConfig) -> Iterator[ServedGateway]:
    """A gateway over HTTP whose videos nobody makes."""
    with served_gateway(tmp_path, config) as served:
        yield served


@pytest.fixture
def http(gateway: ServedGateway) -> Iterator[httpx.Client]:
    """A client of it."""
    with gateway.client() as client:
        yield client
