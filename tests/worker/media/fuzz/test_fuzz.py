"""Damaged files of every accepted format end in words, or can be used: never otherwise, never with a gigabyte or a minute.

``make fuzz MUTANTS=5000`` tries new ones.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .crafted import CRAFTED, craft
from .mutants import make_mutant, make_mutants
from .seeds import Kind, Seed, make_seeds
from .trial import try_all

pytestmark = pytest.mark.media

MUTANTS, FIRST = 400, 1

SMALL = 20_000
"""Bytes of a crafted file of which mutants are made: those of larger ones take long."""

EXPECTED_FORMATS = 44
"""Seeds that every FFmpeg of PyAV's wheels can write."""


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    return make_seeds(tmp_path_factory.mktemp("seeds"))


def test_the_seeds_themselves_can_be_used(seeds: list[Seed], tmp_path: Path) -> None:
    assert len(seeds) >= EXPECTED_FORMATS
    assert {seed.kind for seed in seeds} == set(Kind)


def test_no_mutant_ends_other_than_in_words(seeds: list[Seed], tmp_path: Path) -> None:
    ends = try_all(make_mutants(seeds, FIRST, MUTANTS), tmp_path)
    assert ends.failures == []
    assert ends.words > MUTANTS / 4 and ends.used > MUTANTS / 4


def test_no_crafted_file_ends_other_than_in_words(seeds: list[Seed], tmp_path: Path) -> None:
    files = craft(seeds)
    assert len(files) == len(CRAFTED)
    ends = try_all(iter(files), tmp_path)
    assert ends.failures == []
    assert ends.words > len(files) / 3 and ends.used > len(files) / 3


def test_no_mutant_of_a_crafted_file_does(seeds: list[Seed], tmp_path: Path) -> None:
    small = [Seed(each.name, each.kind, each.content) for each in craft(seeds) if len(each.content) < SMALL]
    assert try_all(make_mutants(small, FIRST, MUTANTS // 4), tmp_path).failures == []


def test_a_number_makes_the_same_mutant_again(seeds: list[Seed]) -> None:
    assert [make_mutant(seeds, number) for number in range(50)] == [make_mutant(seeds, number) for number in range(50)]
    assert len({make_mutant(seeds, number).content for number in range(50)}) > 45
