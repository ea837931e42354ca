"""The page of the commands says what they do."""

from __future__ import annotations

import re
from pathlib import Path

from typer.main import get_command

from talkingvideo_cli.cli import app
from talkingvideo_cli.exits import MEANINGS, ExitStatus

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
SECTION = re.split(r"^## ", PAGE.partition("## On a cluster: kubectl talkingvideo\n")[2], flags=re.MULTILINE)[0]


def test_the_exit_statuses_are_those_of_the_command() -> None:
    listed = re.findall(r"^\| (\d+) \| (.+) \|$", SECTION, re.MULTILINE)
    assert listed == [(str(status.value), MEANINGS[status]) for status in ExitStatus]


def test_every_command_is_listed() -> None:
    listed = set(re.findall(r"^\| `(\w+)", SECTION, re.MULTILINE))
    assert {*getattr(get_command(app), "commands")} <= listed  # noqa: B009 - typer's own type
