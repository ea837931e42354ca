"""FFmpeg never chooses how a file is opened: every call names the format, or lists those that may be."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "worker" / "src").rglob("*.py"))

CHOOSERS = {"av.open", "Image.open", "cv2.imread", "cv2.VideoCapture", "cv2.imreadmulti"}
"""Calls that recognise a format by themselves. ``cv2.imdecode`` stands behind a check of the signature."""


def calls(path: Path) -> list[tuple[int, str, set[str | None]]]:
    tree = ast.parse(path.read_text())
    return [
        (node.lineno, ast.unparse(node.func), {keyword.arg for keyword in node.keywords})
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CHOOSERS
    ]


def test_there_are_such_calls() -> None:
    assert sum(len(calls(path)) for path in SOURCES) >= 8


@pytest.mark.parametrize("path", [path for path in SOURCES if calls(path)], ids=lambda path: path.name)
def test_every_file_is_opened_as_a_format_that_the_code_names(path: Path) -> None:
    unnamed = [(line, name) for line, name, keywords in calls(path) if name != "av.open" or "format" not in keywords]
    assert unnamed == []
