"""Connections of a grid that were made, seen from one of its processes; the others are torch's ``fake`` ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from tests.worker.infinitetalk.parallel import small_model
from tests.worker.infinitetalk.parallel.stage import PLAIN, rendered
from torch._dynamo.testing import CompileCounterWithBackend
from torch.testing._internal.distributed.fake_pg import FakeStore

from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel import grid
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout

Enter = Callable[[Layout], AudioWanTransformer3DModel]


@pytest.fixture
def enter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Enter]:
    """Makes this process the first of a grid, and gives its model."""
    monkeypatch.setattr(grid, "BACKENDS", {"cpu": "fake"})

    def entered(layout: Layout) -> AudioWanTransformer3DModel:
        model = small_model.load()
        grid.enter(grid.Place(layout, 0, FakeStore()), model)
        return model

    yield entered
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.fixture
def aborted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Groups that are aborted."""
    groups: list[str] = []
    monkeypatch.setattr(dist.ProcessGroup, "abort", lambda group: groups.append(group.group_desc))
    return groups


@pytest.mark.parametrize(
    ("layout", "groups"),
    [
        (Layout(2, 2), {"default_pg", "mesh_branches", "mesh_tokens"}),
        (Layout(1, 2), {"default_pg"}),
        (Layout(3, 1), {"default_pg"}),
    ],
)
def test_leaving_ends_the_exchanges_of_all_groups(
    enter: Enter, aborted: list[str], layout: Layout, groups: set[str]
) -> None:
    """Tokens and branches have groups of their own from four GPUs on: what waits in one is not in the whole grid's."""
    enter(layout)
    grid.leave()
    assert set(aborted) == groups


def test_a_grid_that_was_left_can_be_entered_anew(enter: Enter) -> None:
    """For networks in a leaner memory mode."""
    enter(Layout(2, 2))
    grid.leave()
    grid.leave()
    assert not dist.is_initialized()
    enter(Layout(3, 1))
    assert dist.get_world_size() == 3


def test_a_block_is_one_graph_with_its_exchanges(enter: Enter) -> None:
    torch.compiler.reset()
    model, counter = enter(Layout(1, 2)), CompileCounterWithBackend("aot_eager")
    model.compile_repeated_blocks(fullgraph=True, dynamic=False, backend=counter)
    assert rendered(model, PLAIN, speakers=2)
    assert counter.frame_count == 1
