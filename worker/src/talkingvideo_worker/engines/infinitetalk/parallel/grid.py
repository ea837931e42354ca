"""The processes' connections with each other, and what each does in the grid."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from threading import Lock

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Store, TCPStore  # what torch.distributed exports, with its types
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import _abort_process_group  # the one way to abort groups at once

from talkingvideo_worker.engines.infinitetalk.model.transformer import AudioWanTransformer3DModel
from talkingvideo_worker.engines.infinitetalk.parallel.branches import SharedBranches
from talkingvideo_worker.engines.infinitetalk.parallel.layout import Layout
from talkingvideo_worker.engines.infinitetalk.parallel.tokens import share_tokens
from talkingvideo_worker.engines.infinitetalk.sampling.branch_share import ALL_BRANCHES, BranchShare

LOCALHOST = "127.0.0.1"
MEETING = timedelta(minutes=2)
"""Longest that processes which have all loaded their models look for each other."""

BACKENDS = {"cuda": "nccl", "cpu": "gloo"}

PATIENCE = timedelta(minutes=10)
"""Longest wait for another process in one exchange. A process that ends is noticed at once, by its end; this is for one
that hangs. The first steps may differ by what compiling takes."""


_LEAVING = Lock()
"""Connections are the process's, and the thread that watches the others may abort them while another does."""


@dataclass(frozen=True)
class Place:
    """Where a process is in the grid.

    Attributes:
        layout: The grid.
        rank: The process's number; 0 leads.
        store: Where the processes find each other.
    """

    layout: Layout
    rank: int
    store: Store


def make_store() -> TCPStore:
    """A store of this process, at a free port."""
    return TCPStore(LOCALHOST, 0, is_master=True, wait_for_workers=False, timeout=MEETING)


def store_at(port: int) -> TCPStore:
    """The store of another process of this machine."""
    return TCPStore(LOCALHOST, port, is_master=False, timeout=MEETING)


def enter(place: Place, transformer: AudioWanTransformer3DModel) -> BranchShare:
    """Connect with the other processes, and give the transformer its part of every prediction.

    Returns:
        Which branches this process predicts.
    """
    device, layout = transformer.scale_shift_table.device, place.layout
    dist.init_process_group(
        BACKENDS[device.type],
        store=place.store,
        rank=place.rank,
        world_size=layout.ranks,
        timeout=PATIENCE,
        device_id=device if device.type == "cuda" else None,
    )
    sizes = {"branches": layout.branch_groups, "tokens": layout.token_ranks}
    shared = {name: size for name, size in sizes.items() if size > 1}
    mesh = init_device_mesh(device.type, tuple(shared.values()), mesh_dim_names=tuple(shared))
    if "tokens" in shared:
        share_tokens(transformer, mesh.get_group("tokens"))
    return SharedBranches(mesh.get_group("branches")) if "branches" in shared else ALL_BRANCHES


def leave() -> None:
    """Forget the connections, without asking the others. Whoever waits in an exchange gets an error, in whichever group.

    Tokens and branches have groups of their own from four GPUs on; a GPU that waits in one of those does not notice that
    the whole grid's was aborted.
    """
    with _LEAVING:
        if dist.is_initialized():
            _abort_process_group()


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
