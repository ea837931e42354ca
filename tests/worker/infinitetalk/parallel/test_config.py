"""How the work of a step is divided."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig, plan_parallel

HEADS = 40
SQUARE_480P = 40 * 40
WIDE_480P = 28 * 56


@pytest.mark.parametrize(
    ("gpus", "branches", "spatial_tokens", "groups", "ranks"),
    [
        (1, 1, SQUARE_480P, 1, 1),
        (1, 3, SQUARE_480P, 1, 1),
        (2, 1, SQUARE_480P, 1, 2),
        (2, 2, SQUARE_480P, 2, 1),
        (2, 3, SQUARE_480P, 1, 2),
        (3, 1, SQUARE_480P, 1, 2),
        (3, 2, SQUARE_480P, 2, 1),
        (3, 3, SQUARE_480P, 3, 1),
        (4, 1, SQUARE_480P, 1, 4),
        (4, 2, SQUARE_480P, 2, 2),
        (4, 3, SQUARE_480P, 1, 4),
        (5, 3, SQUARE_480P, 1, 5),
        (5, 3, WIDE_480P, 1, 4),
        (6, 1, WIDE_480P, 1, 4),
        (6, 2, WIDE_480P, 2, 2),
        (6, 3, WIDE_480P, 3, 2),
        (7, 2, WIDE_480P, 2, 2),
        (8, 1, WIDE_480P, 1, 8),
        (8, 2, WIDE_480P, 2, 4),
        (8, 3, WIDE_480P, 1, 8),
    ],
)
def test_gpus_are_divided_for_the_shortest_step(
    gpus: int, branches: int, spatial_tokens: int, groups: int, ranks: int
) -> None:
    assert plan_parallel(gpus, branches, HEADS, spatial_tokens) == ParallelConfig(groups, ranks)


@given(
    gpus=st.integers(1, 8),
    branches=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 12, 40]),
    blocks=st.integers(1, 200),
)
def test_a_configuration_fits_and_more_gpus_are_never_slower(gpus: int, branches: int, heads: int, blocks: int) -> None:
    layout = plan_parallel(gpus, branches, heads, 16 * blocks)
    assert layout.world_size <= gpus
    assert layout.branch_groups <= branches
    assert heads % layout.token_ranks == 0
    assert 16 * blocks % layout.token_ranks == 0
    fewer = plan_parallel(max(1, gpus - 1), branches, heads, 16 * blocks)
    assert layout.step_cost(branches) <= fewer.step_cost(branches)
