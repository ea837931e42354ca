"""The command line."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from talkingvideo_operator.cli import app


@pytest.fixture
def restored_logging() -> Iterator[None]:
    """After the test, handlers and levels are what they were."""
    loggers = [logging.getLogger(name) for name in (None, "talkingvideo_operator", "talkingvideo_clients", "kopf")]
    before = [(logger, logger.handlers[:], logger.level) for logger in loggers]
    yield
    for logger, handlers, level in before:
        logger.handlers[:], logger.level = handlers, level


@pytest.mark.usefixtures("restored_logging")
def test_the_log_level_applies_to_the_operator_and_its_clients(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("profiles: {}")
    result = CliRunner().invoke(app, ["run", "--config", str(tmp_path / "config.yaml"), "--log-level", "debug"])
    assert result.exit_code == 2
    assert "invalid configuration" in result.output
    for name in ("talkingvideo_operator.lease", "talkingvideo_clients.kube.api"):
        assert logging.getLogger(name).isEnabledFor(logging.DEBUG)


def test_an_unknown_log_level_is_refused_with_the_levels_there_are(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--config", str(tmp_path / "none.yaml"), "--log-level", "loud"])
    assert result.exit_code == 2
    assert "'loud' is not one of" in result.output and "'warning'" in result.output
