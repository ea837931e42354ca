from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from tests.gateway.serving import ServedGateway, served_gateway

from talkingvideo_gateway.settings import GatewayConfig


@pytest.fixture
def config() -> GatewayConfig:
    """The configuration of the gateway."""
    return GatewayConfig()


@pytest.fixture(scope="session")
def closing() -> Iterator[Callable[[ExitStack], None]]:
    """Closes gateways while the next tests run: a server takes 0.2 s to end."""
    with ThreadPoolExecutor(4) as threads:
        ends: list[Future[None]] = []
        yield lambda stack: ends.append(threads.submit(stack.close))
        for end in ends:
            end.result()


@pytest.fixture
def gateway(tmp_path: Path, config: GatewayConfig, closing: Callable[[ExitStack], None]) -> Iterator[ServedGateway]:
    """A gateway over HTTP whose videos nobody makes."""
    with ExitStack() as stack:
        yield stack.enter_context(served_gateway(tmp_path, config))
        closing(stack.pop_all())


@pytest.fixture
def http(gateway: ServedGateway) -> Iterator[httpx.Client]:
    """A client of it."""
    with gateway.client() as client:
        yield client
