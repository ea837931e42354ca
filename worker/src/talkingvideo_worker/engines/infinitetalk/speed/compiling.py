"""Whether the transformer's blocks are compiled (``torch.compile``)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

COMPILE_SECONDS = 60.0
"""For one block and one size, without a cache [estimate]: the 40 blocks share their code."""

CACHED_SECONDS = 15.0
"""With a warm cache [estimate]."""

GAIN = 0.08
"""Part of a call that is saved [estimate]: norms, modulation, rotary and gates in float32 are bound by memory. Per
token and block some 40 passes of 10 or 20 KB, which fused are 12: at 640x640 0.2 s of 3.2 s on an H100."""

FLOPS_PER_SECOND = 400e12
"""Of a data-centre GPU on this model, uncompiled [estimate]. Slower ones gain more in seconds, so the rule holds."""

PARAMETERS = 18.9e9
WIDTH = 5120
BLOCKS = 40

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


@dataclass(frozen=True)
class Work:
    """What a process will calculate.

    Attributes:
        tokens: Of a call.
        calls: Of the transformer whose blocks run, over all windows.
    """

    tokens: int
    calls: int

    @property
    def seconds(self) -> float:
        """About how long, uncompiled: linear layers, 2 per weight and token, and self-attention, 4 N^2 d a block."""
        flops = 2 * PARAMETERS * self.tokens + 4 * BLOCKS * self.tokens**2 * WIDTH
        return self.calls * flops / FLOPS_PER_SECOND


def is_worth_compiling(work: Work, cached: bool) -> bool:  # noqa: FBT001 - a fact about the machine
    """Whether what compiling saves is more than it costs; a chunk of one or two turbo windows is not.

    Args:
        work: Ahead of this process.
        cached: Whether an earlier process has left compiled code where this one finds it.
    """
    return GAIN * work.seconds > (CACHED_SECONDS if cached else COMPILE_SECONDS)


def reason_against(device: torch.device, find: Callable[[str], str | None] = shutil.which) -> str | None:
    """Why blocks cannot be compiled here; None when they can.

    Triton builds its launcher with a C compiler, once for each cache, and needs Python's headers for it.

    Args:
        device: Where the model renders.
        find: The path of a program.
    """
    if device.type != "cuda":
        return "only GPUs gain by it"
    if os.environ.get("CC") or find("gcc") or find("clang"):
        return None
    return "there is no C compiler (gcc), which Triton needs at run time"


def has_cache() -> bool:
    """Whether compiled code of an earlier process is there."""
    folder = os.environ.get(CACHE_VARIABLE)
    return folder is not None and os.path.isdir(folder) and bool(os.listdir(folder))  # noqa: PTH112, PTH208


def compile_if_worth(transformer: Any, device: torch.device, work: Work) -> str | None:
    """Have the blocks compiled at their first call where that pays.

    Args:
        transformer: On its device.
        device: Where it renders.
        work: Ahead of this process.

    Returns:
        What the user should know when it would pay and cannot be done; else None.
    """
    if device.type != "cuda" or not is_worth_compiling(work, has_cache()):
        return None
    if problem := reason_against(device):
        return f"The model's blocks are not compiled, which costs about {GAIN:.0%} of the time: {problem}."
    compile_blocks(transformer)
    return None


def compile_blocks(transformer: Any) -> None:
    """Compile each block as one graph for one shape; all blocks share the code. Compiled at the first call."""
    transformer.compile_repeated_blocks(fullgraph=True, dynamic=False)
