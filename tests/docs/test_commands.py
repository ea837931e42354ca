"""The commands in the pages are commands."""

from __future__ import annotations

import re
import shlex

import pytest
import typer
from tests.docs.test_pages import ROOT, WRITTEN
from typer.core import TyperGroup

from talkingvideo_worker.cli import app


def commands() -> list[str]:
    """Every call of ``talkingvideo`` in a shell block of the pages, without what surrounds it."""
    found = []
    for page in WRITTEN:
        for block in re.findall(r"^ *```sh\n(.*?)```", page.read_text(), re.DOTALL | re.MULTILINE):
            lines = block.replace("\\\n", " ").splitlines()
            found += [
                call.group(1)
                for line in lines
                if (call := re.search(r"\btalkingvideo ((?:make|run|plan|weights) .*)", line))
            ]
    return sorted(set(found))


def test_the_pages_show_each_command_for_this_machine() -> None:
    assert {command.split()[0] for command in commands()} == {"make", "run", "plan", "weights"}
    assert (ROOT / "docs" / "cli.md").exists()


@pytest.mark.parametrize("command", commands())
def test_a_command_in_the_pages_has_arguments_that_exist(command: str) -> None:
    words = shlex.split(command.partition(" > ")[0], comments=True)
    called = typer.main.get_group(app).commands[words.pop(0)]
    if isinstance(called, TyperGroup):
        called = called.commands[words.pop(0)]
    called.make_context(called.name, words)
