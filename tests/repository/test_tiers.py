"""The fast tests need no torch and nothing that must be built."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import MODEL_TESTS

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
WORKER = tomllib.loads((ROOT / "worker" / "pyproject.toml").read_text())["project"]
HEAVY = {
    re.split(r"[^\w-]", requirement)[0].replace("-", "_")
    for extra in ("infinitetalk", "kokoro")
    for requirement in WORKER["optional-dependencies"][extra]
}
"""Packages of the extras that the fast environment lacks, by the names that they are imported by."""


def imported_at_once(file: Path) -> Iterator[str]:
    """Modules that a file imports when it is imported itself."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_tests_outside_of_the_model_tier_can_be_collected_without_torch() -> None:
    collected = [*TESTS.rglob("test_*.py"), *TESTS.rglob("conftest.py")]
    fast = [file for file in collected if not any(file.is_relative_to(place) for place in MODEL_TESTS)]
    heavy = [
        (file.relative_to(ROOT).as_posix(), name)
        for file in fast
        for name in imported_at_once(file)
        if name.partition(".")[0] in HEAVY
    ]
    assert not heavy


def test_every_place_of_the_model_tier_exists() -> None:
    assert not [place for place in MODEL_TESTS if not place.exists()]


def test_the_fast_command_deselects_every_tier() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tiers = {marker.partition(":")[0] for marker in settings["tool"]["pytest"]["ini_options"]["markers"]}
    expression = re.search(r'^FAST_TESTS := -m "(.+)"$', (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert expression is not None
    assert {part.removeprefix("not ") for part in expression[1].split(" and ")} == tiers
