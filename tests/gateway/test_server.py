"""The command's process."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from tests.gateway.local_gateway import LocalGateway

pytestmark = pytest.mark.media


def test_ctrl_c_ends_it_quietly_while_a_page_is_open(tmp_path: Path) -> None:
    gateway = LocalGateway(tmp_path)
    gateway.start()
    with httpx.stream("GET", f"{gateway.url}/v1/events"):
        gateway.interrupt()
    assert "Application shutdown complete." in gateway.log
    assert "Traceback" not in gateway.log
    assert f"The page: {gateway.url}" in gateway.log


def test_its_log_has_no_links(tmp_path: Path) -> None:
    gateway = LocalGateway(tmp_path)
    gateway.start()
    httpx.get(f"{gateway.url}/shared/a-signed-link")
    gateway.interrupt()
    assert "a-signed-link" not in gateway.log
