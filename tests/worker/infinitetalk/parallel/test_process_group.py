"""Connections of a process_group that were made, seen from one of its processes; the others are torch's ``fake`` ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist
from tests.worker.infinitetalk.parallel import small_model
from tests.worker.infinitetalk.parallel.rendered_windows import PLAIN, rendered
from torch._dynamo.testing import CompileCounterWithBackend
from torch.testing._internal.distributed.fake_pg import FakeStore

from talkingvideo_worker.engines.infinitetalk.parallel import process_group
from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

Join = Callable[[ParallelConfig], AudioWanTransformer3DModel]


@pytest.fixture
def join(monkeypatch: pytest.MonkeyPatch) -> Iterator[Join]:
    """Makes this process rank 0 of a process group, and returns its model."""
    monkeypatch.setattr(process_group, "BACKENDS", {"cpu": "fake"})

    def joined(config: ParallelConfig) -> AudioWanTransformer3DModel:
        model = small_model.load()
        process_group.join(config, 0, FakeStore(), model)
        return model

    yield joined
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.fixture
def aborted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Groups that are aborted."""
    groups: list[str] = []
    monkeypatch.setattr(dist.ProcessGroup, "abort", lambda group: groups.append(group.group_desc))
    return groups


@pytest.mark.parametrize(
    ("config", "groups"),
    [
        (ParallelConfig(2, 2), {"default_pg", "mesh_branches", "mesh_tokens"}),
        (ParallelConfig(1, 2), {"default_pg"}),
        (ParallelConfig(3, 1), {"default_pg"}),
    ],
)
def test_all_groups_are_aborted(join: Join, aborted: list[str], config: ParallelConfig, groups: set[str]) -> None:
    """Tokens and branches have groups of their own from four GPUs on: what waits in one is not in the whole process_group's."""
    join(config)
    process_group.abort()
    assert set(aborted) == groups


def test_after_aborting_a_new_group_can_be_joined(join: Join) -> None:
    """For networks in a leaner memory mode."""
    join(ParallelConfig(2, 2))
    process_group.abort()
    process_group.abort()
    assert not dist.is_initialized()
    join(ParallelConfig(3, 1))
    assert dist.get_world_size() == 3


def test_a_block_is_one_graph_with_its_exchanges(join: Join) -> None:
    torch.compiler.reset()
    model, counter = join(ParallelConfig(1, 2)), CompileCounterWithBackend("aot_eager")
    model.compile_repeated_blocks(fullgraph=True, dynamic=False, backend=counter)
    assert rendered(model, PLAIN, speakers=2)
    assert counter.frame_count == 1
