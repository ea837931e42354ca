"""Whether the transformer's blocks are compiled (``torch.compile``)."""

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
"""Part of a call that is saved [estimate]: norms, modulation, rotary and gates in float32 are bound by memory. Per
token and block some 40 passes of 10 or 20 KB, which fused are 12: at 640x640 0.2 s of 3.2 s on an H100."""

FLOPS_PER_SECOND = 400e12
"""Of a data-centre GPU on this model, uncompiled [estimate]. Slower ones gain more in seconds, so the rule holds."""

PARAMETERS = 18.9e9
WIDTH = 5120
BLOCKS = 40

CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"
WRITTEN = (CACHE_VARIABLE, "TRITON_CACHE_DIR")
"""Name folders that compiling writes into."""

COMPILING_PROCESSES = 4
"""That compile kernels at once, for each GPU. A block has some twenty kernels; torch would start one for each core of the
node, 32 at most, however few of them and however little memory the container has."""


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


def python_headers() -> Path:
    """Folder of Python's C headers, where Triton looks for it: Debian's own Python would install others elsewhere."""
    scheme = sysconfig.get_default_scheme()
    return Path(sysconfig.get_paths("posix_prefix" if scheme == "posix_local" else scheme)["include"])


def reason_against(
    device: torch.device, find: Callable[[str], str | None] = shutil.which, headers: Path | None = None
) -> str | None:
    """Why blocks cannot be compiled here; None when they can.

    Triton builds its launcher with a C compiler, once for each cache, and needs Python's headers for it.

    Args:
        device: Where the model renders.
        find: The path of a program.
        headers: Folder of Python's C headers; None for this Python's.
    """
    if device.type != "cuda":
        return "only GPUs gain by it"
    if not (os.environ.get("CC") or find("gcc") or find("clang")):
        return "there is no C compiler (gcc), which Triton needs at run time"
    if not ((headers or python_headers()) / "Python.h").exists():
        return "Python's C headers (libpython3-dev), which Triton needs at run time, are not there"
    if folder := next(
        (folder for folder in map(os.environ.get, WRITTEN) if folder and not _can_write(Path(folder))), None
    ):
        return f"{folder} cannot be written"
    return None


def has_cache() -> bool:
    """Whether compiled code of an earlier process is there."""
    folder = Path(os.environ.get(CACHE_VARIABLE) or os.devnull)
    return folder.is_dir() and os.access(folder, os.R_OK) and any(folder.iterdir())


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


Prepare = Callable[[Any], None]
"""Makes a transformer's blocks ready to run: ``compile_blocks`` or ``leave_uncompiled``, which can be pickled."""


def choose_preparation(device: torch.device, work: Work) -> tuple[Prepare, str | None]:
    """Have the blocks compiled at their first call where that pays.

    Chosen once for all processes that share the work: compiled blocks may exchange tokens in another order than others,
    and where one process's second exchange meets another's third, the results are wrong without a word.

    Args:
        device: Where the model renders.
        work: Ahead of each process.

    Returns:
        What to do with the blocks, and what the user should know when compiling would pay and cannot be done.
    """
    if device.type != "cuda" or not is_worth_compiling(work, has_cache()):
        return leave_uncompiled, None
    if problem := reason_against(device):
        return leave_uncompiled, (
            f"The model's blocks are not compiled, which costs about {GAIN:.0%} of the time: {problem}."
        )
    return compile_blocks, None


def leave_uncompiled(_transformer: Any) -> None:
    """Nothing is done."""


def compile_blocks(transformer: Any) -> None:
    """Compile each block as one graph for one shape; all blocks share the code. Compiled at the first call."""
    from torch._inductor import config  # which takes seconds

    config.compile_threads = min(config.compile_threads or COMPILING_PROCESSES, COMPILING_PROCESSES)
    transformer.compile_repeated_blocks(fullgraph=True, dynamic=False)
