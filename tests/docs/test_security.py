"""Every threat of docs/security.md names the tests that carry it out, and they exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
ROWS = [
    line
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not re.match(r"\| (threat|who|---)", line)
]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def functions_of(file: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("row", [row for row in ROWS if row.count("|") == 4 and "tests/" in row])
def test_a_threats_tests_exist(row: str) -> None:
    for file, function in NAMED.findall(row):
        assert (ROOT / file).exists(), file
        assert function in functions_of(ROOT / file), f"{file}::{function}"


def test_every_threat_has_a_test() -> None:
    threats = re.findall(r"^\| threat .*?\n\|---.*?\n((?:\|.*\n)+)", PAGE.read_text(), re.MULTILINE)
    rows = [row for table in threats for row in table.splitlines()]
    assert len(rows) > 20
    assert [row for row in rows if not NAMED.search(row)] == []
