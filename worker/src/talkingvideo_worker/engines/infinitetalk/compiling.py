"""Compiles the transformer's blocks (``torch.compile``) where that pays."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

COMPILE_SECONDS = 60.0
"""For one block and one size, without a cache [estimate]: the 40 blocks share their code."""

CACHED_SECONDS = 15.0
"""With a warm cache [estimate]."""

GAIN = 0.08
"""Fraction of a call that is saved [estimate]: norms, modulation, rotary and gates in float32 are bound by memory. Per
token and block they are some 40 passes of 10 or 20 KB, fused 12: at 640x640 0.2 s of 3.2 s on an H100."""

FLOPS_PER_SECOND = 400e12
"""Of a data-centre GPU on this model, not compiled [estimate]. Slower ones gain more seconds, so the rule holds there."""

PARAMETERS = 18.9e9
WIDTH = 5120
BLOCKS = 40

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
CACHE_VARIABLES = (CACHE_VARIABLE, "TRITON_CACHE_DIR")
"""Name the folders that compiling writes to."""

COMPILING_PROCESSES = 4
"""Number of processes that compile kernels, for each GPU. A block has some twenty kernels; torch would start one process per
core of the node, 32 at most, however few cores and little memory the container has."""


@dataclass(frozen=True)
class PlannedCalls:
    """The calls of the transformer that a process will make.

    Attributes:
        tokens: Of one call.
        calls: Number of calls over all windows.
    """

    tokens: int
    calls: int

    @property
    def seconds(self) -> float:
        """Estimated duration, not compiled: linear layers, 2 per weight and token, and self-attention, 4 N^2 d a block."""
        flops = 2 * PARAMETERS * self.tokens + 4 * BLOCKS * self.tokens**2 * WIDTH
        return self.calls * flops / FLOPS_PER_SECOND


def is_worth_compiling(planned: PlannedCalls, cached: bool) -> bool:  # noqa: FBT001 - a fact about the machine
    """Whether compiling saves more than it costs; for one or two windows of the turbo preset it does not.

    Args:
        planned: The calls of this process.
        cached: Whether an earlier process has left compiled code where this one finds it.
    """
    return GAIN * planned.seconds > (CACHED_SECONDS if cached else COMPILE_SECONDS)


def python_headers() -> Path:
    """Folder of Python's C headers, as Triton determines it: Debian's own Python would install headers elsewhere."""
    scheme = sysconfig.get_default_scheme()
    return Path(sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"])


def compile_obstacle(
    device: torch.device, find: Callable[[str], str | None] = shutil.which, headers: Path | None = None
) -> str | None:
    """Why blocks cannot be compiled here; None when they can.

    Triton builds its launcher with a C compiler, once per cache, and needs Python's headers for it.

    Args:
        device: Where the model renders.
        find: Finds the path of a program.
        headers: Folder of Python's C headers; None for this Python's.
    """
    if device.type != "cuda":
        return "only GPUs gain from it"
    if not (os.environ.get("CC") or find("gcc") or find("clang")):
        return "there is no C compiler (gcc), which Triton needs at run time"
    if not ((headers or python_headers()) / "Python.h").exists():
        return "Python's C headers (libpython3-dev), which Triton needs at run time, are missing"
    if folder := next(
        (folder for folder in map(os.environ.get, CACHE_VARIABLES) if folder and not _can_write(Path(folder))), None
    ):
        return f"{folder} cannot be written"
    return None


def has_cache() -> bool:
    """Whether an earlier process has left compiled code."""
    folder = Path(os.environ.get(CACHE_VARIABLE) or os.devnull)
    return folder.is_dir() and os.access(folder, os.R_OK) and any(folder.iterdir())


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


BlockPreparation = Callable[[Any], None]
"""Prepares a transformer's blocks: ``compile_blocks`` or ``leave_uncompiled``, which can be pickled."""


def choose_preparation(device: torch.device, planned: PlannedCalls) -> tuple[BlockPreparation, str | None]:
    """Decide whether the blocks are compiled at their first call.

    Decided once for all processes that divide the work: compiled blocks may exchange tokens in another order than others,
    and when the second exchange of one process meets the third of another, the results are silently wrong.

    Args:
        device: Where the model renders.
        planned: The calls of each process.

    Returns:
        The preparation, and a warning for the user when compiling would pay but is not possible.
    """
    if device.type != "cuda" or not is_worth_compiling(planned, has_cache()):
        return leave_uncompiled, None
    if problem := compile_obstacle(device):
        return leave_uncompiled, (
            f"The model's blocks are not compiled, which costs about {GAIN:.0%} of the time: {problem}."
        )
    return compile_blocks, None


def leave_uncompiled(_transformer: Any) -> None:
    """Do nothing."""


def compile_blocks(transformer: Any) -> None:
    """Compile each block as one graph for one shape at its first call; all blocks share the code."""
    from torch._inductor import config  # takes seconds

    config.compile_threads = min(config.compile_threads or COMPILING_PROCESSES, COMPILING_PROCESSES)
    transformer.compile_repeated_blocks(fullgraph=True, dynamic=False)
