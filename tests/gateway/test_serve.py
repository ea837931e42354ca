"""The command: what it refuses to serve, and the metrics beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from typer.testing import CliRunner

from talkingvideo_gateway.cli import app
from talkingvideo_gateway.cluster_gateway import link_key
from talkingvideo_gateway.errors import InvalidRequestError
from talkingvideo_gateway.http.metrics import Metrics

REFUSED: list[tuple[list[str], dict[str, Any], str]] = [
    (["--host", "0.0.0.0"], {}, "loopback only"),
    (["--host", "::"], {}, "loopback only"),
    (["--host", "example.com"], {}, "loopback only"),
    (["--host", "0.0.0.0", "--local", "DIR"], {"authentication": {"kubernetes": {}}}, "loopback only"),
    ([], {"limitz": 1}, "limitz"),
    ([], {"corsOrigins": ["*"]}, "corsOrigins"),
    ([], {"authentication": {"proxy": {"addresses": []}}}, "authentication.proxy.addresses"),
    ([], {"authentication": {"proxy": {"addresses": ["example.com"]}}}, "authentication.proxy.addresses"),
    ([], {"cluster": {"stores": {"default": {"s3": {"bucket": "b", "prefix": "../x"}}}}}, "prefix"),
    ([], {"cluster": {"inputs": ["s3://media"]}}, "cluster.inputs"),
]


@pytest.mark.parametrize(("arguments", "config", "named"), REFUSED, ids=str)
def test_what_would_not_be_safe_or_is_a_mistake_is_refused_and_named(
    tmp_path: Path, arguments: list[str], config: dict[str, Any], named: str
) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config))
    given = [str(tmp_path) if each == "DIR" else each for each in arguments]
    done = CliRunner().invoke(app, ["serve", "--config", str(file), *given])
    assert done.exit_code != 0
    assert named in done.output


@pytest.mark.parametrize(("content", "named"), [(None, "cannot be read"), ("short", "32"), ("", "32")])
def test_a_key_for_links_is_long_enough_to_keep_a_secret(tmp_path: Path, content: str | None, named: str) -> None:
    if content is not None:
        (tmp_path / "key").write_text(content)
    with pytest.raises(InvalidRequestError, match=named) as refused:
        link_key(tmp_path / "key")
    assert refused.value.field == "linkKey"


def test_a_local_key_that_an_interrupted_start_has_left_empty_signs_nothing(tmp_path: Path) -> None:
    (tmp_path / "link-key").touch()
    done = CliRunner().invoke(app, ["serve", "--local", str(tmp_path), "--port", "0"])
    assert done.exit_code == 1
    assert "link-key" in done.output


def test_metrics_have_routes_and_no_ids() -> None:
    async def job(_: Any) -> PlainTextResponse:
        return PlainTextResponse("ok")

    metrics = Metrics()
    application = Starlette(routes=[Route("/jobs/{id}", job)])
    http = TestClient(metrics.around(application))
    for number in range(3):
        http.get(f"/jobs/secret-{number}")
        http.get(f"/nothing/secret-{number}")
    text = generate_latest(metrics.registry).decode()
    assert "secret" not in text
    assert 'status="404"' in text
    assert "talkingvideo_gateway_open_requests 0.0" in text
