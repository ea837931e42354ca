"""``make fuzz MUTANTS=5000 SEED=…``: many mutants; prints the numbers of those that end other than in words."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from .mutants import make_mutants
from .seeds import Seed, make_seeds
from .trial import Ends, merged, try_all

SHARE = 100
"""Mutants of one task of a process."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutants", type=int, default=1_000)
    parser.add_argument(
        "--seed", type=int, default=None, help="number of the first mutant; a new one each time by default"
    )
    given = parser.parse_args()
    first = secrets.randbelow(1 << 48) if given.seed is None else given.seed
    print(f"{given.mutants} mutants from number {first} on")
    with tempfile.TemporaryDirectory() as folder, ProcessPoolExecutor(os.cpu_count()) as processes:
        seeds = make_seeds(Path(folder))
        tasks = [
            processes.submit(_share, Path(folder) / str(start), seeds, start, min(SHARE, first + given.mutants - start))
            for start in range(first, first + given.mutants, SHARE)
        ]
        ends = merged([task.result() for task in tasks])
    print(f"{ends.words} ended in words, {ends.used} could be used; at most {ends.peak_bytes / 1e6:.0f} MB")
    print(f"and {ends.cpu_seconds:.1f} s of computing time for one")
    for trace, numbers in sorted(ends.traces.items()):
        print(f"{len(numbers)} without words of their own: {trace}, such as {numbers[:3]}")
    for failure in ends.failures:
        print(f"FAILED {failure}")
    sys.exit(bool(ends.failures))


def _share(folder: Path, seeds: Sequence[Seed], first: int, count: int) -> Ends:
    return try_all(make_mutants(seeds, first, count), folder)


if __name__ == "__main__":
    main()
