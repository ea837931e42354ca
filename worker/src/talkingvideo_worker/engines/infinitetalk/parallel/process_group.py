"""The process group of torch.distributed: found through a store, divided into a mesh, and aborted as a whole."""

from __future__ import annotations

from datetime import timedelta
from threading import Lock

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import Store, TCPStore  # what torch.distributed exports, with its types
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.distributed_c10d import _abort_process_group  # the only way to abort groups at once

from talkingvideo_worker.engines.infinitetalk.parallel.config import ParallelConfig
from talkingvideo_worker.engines.infinitetalk.parallel.sharding import ShardedBranches, shard_tokens
from talkingvideo_worker.engines.infinitetalk.sampling.guidance import UNSHARDED_BRANCHES, BranchSharding
from talkingvideo_worker.engines.infinitetalk.transformer import AudioWanTransformer3DModel

LOCALHOST = "127.0.0.1"

RENDEZVOUS_TIMEOUT = timedelta(minutes=2)
"""Longest time in which processes that have all loaded their models must find each other."""

BACKENDS = {"cuda": "nccl", "cpu": "gloo"}

EXCHANGE_TIMEOUT = timedelta(minutes=10)
"""Longest wait for another process in one exchange. A process that ends is noticed at once; this is for one that hangs.
The first steps of the processes may start apart by the time that compiling takes."""

_ABORT_LOCK = Lock()
"""Process groups belong to the whole process: the thread that watches the workers may abort them while another one does."""


def make_store() -> TCPStore:
    """A store in this process, at a free port."""
    return TCPStore(LOCALHOST, 0, is_master=True, wait_for_workers=False, timeout=RENDEZVOUS_TIMEOUT)


def connect_store(port: int) -> TCPStore:
    """The store of another process of this machine."""
    return TCPStore(LOCALHOST, port, is_master=False, timeout=RENDEZVOUS_TIMEOUT)


def join(config: ParallelConfig, rank: int, store: Store, transformer: AudioWanTransformer3DModel) -> BranchSharding:
    """Join the process group, and make the transformer compute this rank's shard of every prediction.

    Args:
        config: How the work is divided.
        rank: Of this process.
        store: Through which the processes find each other.
        transformer: This process's model.

    Returns:
        Which branches this process predicts.
    """
    device = transformer.scale_shift_table.device
    dist.init_process_group(
        BACKENDS[device.type],
        store=store,
        rank=rank,
        world_size=config.world_size,
        timeout=EXCHANGE_TIMEOUT,
        device_id=device if device.type == "cuda" else None,
    )
    sizes = {"branches": config.branch_groups, "tokens": config.token_ranks}
    dimensions = {name: size for name, size in sizes.items() if size > 1}
    mesh = init_device_mesh(device.type, tuple(dimensions.values()), mesh_dim_names=tuple(dimensions))
    if "tokens" in dimensions:
        shard_tokens(transformer, mesh.get_group("tokens"))
    return ShardedBranches(mesh.get_group("branches")) if "branches" in dimensions else UNSHARDED_BRANCHES


def abort() -> None:
    """Abort all process groups without waiting for the others. Whoever waits in an exchange, in any group, gets an error.

    From four GPUs on, tokens and branches have groups of their own; a GPU that waits in one of those would not notice that
    the default group was aborted.
    """
    with _ABORT_LOCK:
        if dist.is_initialized():
            _abort_process_group()


def synchronise(device: torch.device) -> None:
    """Wait until a GPU has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
