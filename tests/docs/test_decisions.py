"""Every decision has its number, its three parts, and its line in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parents[2] / "docs" / "decisions"
FILES = sorted(DECISIONS.glob("[0-9]*.md"))


def test_numbers_are_unique() -> None:
    numbers = [file.name[:4] for file in FILES]
    assert len(set(numbers)) == len(numbers)


def test_the_index_lists_every_decision_by_its_title() -> None:
    listed = re.findall(r"^- \[(\d{4}): (.+)\]\((.+)\)$", (DECISIONS / "README.md").read_text(), re.MULTILINE)
    titles = [file.read_text().splitlines()[0].split(". ", 1)[1] for file in FILES]
    assert sorted(listed) == [(file.name[:4], title, file.name) for file, title in zip(FILES, titles, strict=True)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_decision_has_its_three_parts(file: Path) -> None:
    text = file.read_text()
    assert text.startswith(f"# {int(file.name[:4])}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
